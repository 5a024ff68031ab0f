"""Reports of errors, in a process that stands for one of two."""

import sys
import tempfile

import pytest
import torch
from mmengine.logging import MMLogger

from mim_plugins.cli import process_errors, user_errors


@pytest.fixture
def one_of_two(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("TORCHELASTIC_ERROR_FILE", "SLURM_STEP_ID", "PMIX_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    logger = MMLogger.get_instance(f"{tmp_path}", log_file=str(tmp_path / "a.log"))
    yield tmp_path
    for handler in logger.handlers:
        handler.close()
    MMLogger._instance_dict.pop(f"{tmp_path}")


LOST = [
    RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:9"),
    RuntimeError("NCCL error in: ProcessGroupNCCL.cpp, remote process exited"),
    torch.distributed.DistBackendError("NCCL communicator was aborted on rank 0"),
    torch.distributed.DistNetworkError("The client socket has timed out"),
]


@pytest.mark.parametrize("error", LOST, ids=lambda error: str(error)[:12])
def test_lost_connection_repeats_the_other_message(one_of_two, error):
    line = process_errors.exit_status("error: RuntimeError: ...", error)
    assert line.startswith("error: another process of the run has ended or cannot be reached")
    assert " ".join(str(error).split()) in line
    other = "error: the cause (process 1 of 2 on host 'b'; traceback in c)"
    (one_of_two / "error_rank_1.txt").write_text(f"{other}\ntraceback\n")
    assert process_errors.exit_status("error: RuntimeError: ...", error) == other


def test_secondary_error_is_not_repeated(one_of_two):
    (one_of_two / "error_rank_1.txt").write_text(process_errors._CONSEQUENCE + " (process 1)\n")
    assert "another process" in process_errors.exit_status("error: x", LOST[0])


@pytest.mark.parametrize("error", [ValueError("NCCL"), RuntimeError("shapes do not fit")])
def test_other_errors_keep_their_own_message(one_of_two, error):
    line = process_errors.exit_status("error: mine", error)
    assert line.startswith("error: mine (process 0 of 2 on host '")
    assert f"traceback in {one_of_two / 'error_rank_0.txt'})" in line


def raised(error, file):
    """Return the error with a traceback through a line of the file."""
    try:
        exec(compile("raise error", file, "exec"), dict(error=error))
    except RuntimeError as caught:
        return caught


@pytest.mark.parametrize(
    ("file", "text", "is_lost"),
    [
        ("/x/torch/distributed/distributed_c10d.py", "Connection closed by peer", True),
        (
            "/x/torch/autograd/graph.py",
            "[../gloo/transport/tcp/pair.cc:534] Connection reset",
            True,
        ),
        ("/x/torch/autograd/graph.py", "NCCL error: unhandled system error", True),
        ("/x/torch/autograd/graph.py", "Broken pipe", False),
        ("/x/torch/_utils.py", "Caught RuntimeError: gloo/ Connection reset by peer", False),
        ("/x/datasets/storage.py", "s3: Connection reset by peer", False),
        ("/x/datasets/storage.py", "NCCL error of mine", False),
        ("/x/datasets/gloomy.py", "the gloomy image set: Socket Timeout", False),
    ],
)
def test_lost_connection_is_recognized_by_its_origin(one_of_two, file, text, is_lost):
    (one_of_two / "error_rank_1.txt").write_text("error: the cause (process 1)\n")
    line = process_errors.exit_status("error: mine", raised(RuntimeError(text), file))
    assert line.startswith("error: the cause" if is_lost else "error: mine")


def test_unwritable_report_is_not_mentioned(one_of_two):
    (one_of_two / "error_rank_0.txt").mkdir()
    assert "traceback in" not in process_errors.exit_status("error: mine", ValueError("x"))


@pytest.mark.parametrize(
    "variables",
    [
        dict(TORCHELASTIC_ERROR_FILE="{}/attempt_0/{rank}/error.json"),
        dict(SLURM_JOB_ID="7", SLURM_STEP_ID="1"),
        dict(PMIX_NAMESPACE="prterun-host-1@1"),
    ],
    ids=["torchrun", "slurm", "mpi"],
)
def test_message_is_printed_once_per_machine(one_of_two, monkeypatch, variables):
    (one_of_two / "attempt_0").mkdir()
    told = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(one_of_two, rank=rank))
        for line in ("error: of all", f"error: of {rank}"):
            told.append(process_errors.exit_status(line, ValueError("x")))
    assert [isinstance(line, str) for line in told] == [True, True, False, True]
    assert told[2] == 1


def test_every_process_prints_without_a_shared_folder(one_of_two):
    for _ in range(2):
        assert "error: x" in process_errors.exit_status("error: x", ValueError("x"))


@pytest.fixture
def as_one_of_two(tmp_path, monkeypatch):
    """Let this process be one of two, with a folder for reports and for the markers."""
    monkeypatch.setattr(process_errors, "_log_folder", lambda: tmp_path)
    monkeypatch.setattr(process_errors, "_machine_folder", lambda: tmp_path / "markers")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    return tmp_path


TEXTS = ["the cause", "cause (process 7) inside", "name \ud800 of a file", "a (process "]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_has_its_process_and_is_printed_once(as_one_of_two, monkeypatch, text):
    line = process_errors.exit_status(f"error: {text}", ValueError(text))
    assert line.startswith("error: " + text.encode(errors="backslashreplace").decode())
    assert "(process 1 of 2 on host" in line
    assert "error_rank_1.txt" in line
    monkeypatch.setenv("RANK", "0")
    lost = torch.distributed.DistError("connection closed")
    assert process_errors.exit_status("error: lost", lost) == 1


class Stopped(BaseException):
    pass


@pytest.mark.parametrize("error", [SystemExit("the cause"), Stopped("the cause")])
def test_exit_with_a_text_has_its_process(as_one_of_two, error):
    with pytest.raises(SystemExit) as stop, user_errors(), user_errors():
        raise error
    assert "the cause" in stop.value.code
    assert stop.value.code.count("(process 1 of 2") == 1


@pytest.mark.parametrize("code", [0, 85, None])
def test_exit_codes_are_kept(as_one_of_two, code):
    with pytest.raises(SystemExit) as stop, user_errors():
        sys.exit(code)
    assert stop.value.code == code

"""Errors in one of two real processes, started with torchrun or like with Slurm."""

import multiprocessing
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from free_port import free_port
from mmengine.logging import MMLogger
from tool_runs import TOOLS, run_process

from mim_plugins.cli import process_errors, user_errors

PROGRAM = """
import os, signal, sys, time
sys.path.insert(0, {helpers!r})
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny_run import ToyImages, ToyModel, toy_runner
from mim_plugins.errors import ConfigError
from mim_plugins.cli import ConsoleRunner, process_group, run_config, user_errors
from mim_plugins.errors import BUILD_ERRORS
from two_processes import DISTRIBUTED

launcher, stage, kind, ranks = sys.argv[1:]
EVALUATION = dict(
    val_cfg={{}},
    val_evaluator=[],
    val_dataloader=dict(
        batch_size=2, dataset=ToyImages(), sampler=dict(type="DefaultSampler", shuffle=False)
    ),
)
process_group.set_rank_from_launcher(launcher)


def fail():
    if os.environ["RANK"] not in ranks:
        return
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "user":
        raise ConfigError("the cause\\nin two lines")
    raise ZeroDivisionError("the cause")


class Model(ToyModel):
    def forward(self, inputs, data_samples=None, mode="loss"):
        return super().forward(inputs) if mode == "loss" else data_samples


class Failing(Hook):
    def before_train_iter(self, runner, *args, **kwargs):
        if stage == "iteration":
            fail()

    def after_val_iter(self, runner, *args, **kwargs):
        if stage == "evaluation":
            fail()


def run():
    cfg = Config(dict(launcher=launcher, model={{}}))
    if stage == "start":
        fail()
    process_group.init_gloo_on_cpu(cfg)
    with user_errors(False, BUILD_ERRORS):
        runner = toy_runner({folder!r}, Model(), runner=ConsoleRunner, hooks=[Failing()],
                            **DISTRIBUTED | dict(launcher=launcher), **EVALUATION)
        runner._train_loop["val_interval"] = 2
        if stage == "build":
            fail()
    runner.train()


with user_errors():
    process_group.run_distributed(run)
"""


def program(tmp_path):
    helpers = str(Path(__file__).parents[1] / "helpers")
    return PROGRAM.format(helpers=helpers, folder=str(tmp_path / "run"))


def lines_of_errors(text):
    return [line for line in text.splitlines() if line.startswith("error:")]


def launched(tmp_path, stage, kind, ranks, code):
    """Run the program on two processes of torchrun; return the printed errors."""
    file = tmp_path / "program.py"
    file.write_text(program(tmp_path))
    launcher = (TOOLS / "misc/launch.py", "--nproc_per_node=2", f"--master_port={free_port()}")
    output = run_process(
        sys.executable, *launcher, file, "pytorch", stage, kind, ranks, code=code
    )  # fmt: skip
    assert "Traceback" not in "".join(output)
    return lines_of_errors(output.stderr)


def check_report(line, name, in_log_folder):
    assert line.startswith(f"error: {name} (process 1 of 2 on host '")
    if in_log_folder:
        (file,) = re.findall(r"traceback in (.*)\)$", line)
        text = Path(file).read_text()
        assert text.startswith(line)
        assert "in fail" in text


@pytest.mark.parametrize(
    ("stage", "kind", "name"),
    [
        ("start", "user", "the cause in two lines"),
        ("iteration", "unexpected", "ZeroDivisionError: the cause"),
    ],
)
def test_message_of_the_failing_process_is_printed(tmp_path, stage, kind, name):
    (line,) = launched(tmp_path, stage, kind, "1", code=1)
    check_report(line, name, stage != "start")


def test_launcher_reports_a_killed_process(tmp_path):
    *errors, last = launched(tmp_path, "iteration", "killed", "0", code=128 + signal.SIGKILL)
    assert "error: process 0 was ended by SIGKILL" in last
    assert all(line.startswith("error: another process of the run") for line in errors)


def run_task(rank, port, tmp_path, arguments):
    """Run the program like a task of Slurm, with its output in a file."""
    os.environ.update(
        SLURM_NTASKS="2", SLURM_JOB_ID=f"{os.getppid()}", SLURM_STEP_ID=port, MASTER_PORT=port,
        MASTER_ADDR="127.0.0.1", SLURM_NODELIST="localhost", SLURM_PROCID=str(rank),
        SLURM_LOCALID=str(rank), CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    torch.set_num_threads(1)
    tempfile.tempdir = str(tmp_path)
    sys.argv = ["program.py", "slurm", *arguments]
    sys.stdout = sys.stderr = (tmp_path / f"console_{rank}").open("w", buffering=1)
    exec(compile(program(tmp_path), "program.py", "exec"), dict(__name__="__main__"))


def tasks(tmp_path, stage, kind, ranks):
    """Run the program on two forked processes; return the printed errors."""
    context = multiprocessing.get_context("fork")
    given = (str(free_port()), tmp_path, (stage, kind, ranks))
    processes = [context.Process(target=run_task, args=(rank, *given)) for rank in range(2)]
    for process in processes:
        process.start()
    processes[1].join(100)
    if stage in ("start", "build") and ranks == "1":
        # like srun --kill-on-bad-exit, because this process waits for the other
        processes[0].terminate()
    processes[0].join(100)
    assert not any(process.is_alive() for process in processes)
    console = "".join((tmp_path / f"console_{rank}").read_text() for rank in range(2))
    assert processes[1].exitcode == 1, console
    assert "Traceback" not in console
    return lines_of_errors(console)


@pytest.mark.parametrize(
    ("stage", "kind", "name"),
    [
        ("build", "user", "the cause in two lines"),
        ("build", "unexpected", "ZeroDivisionError: the cause"),
        ("iteration", "user", "the cause in two lines"),
        ("evaluation", "unexpected", "ZeroDivisionError: the cause"),
    ],
)
def test_slurm_processes_report_their_errors(tmp_path, stage, kind, name):
    (line,) = tasks(tmp_path, stage, kind, "1")
    check_report(line, name, in_log_folder=True)


@pytest.mark.parametrize("stage", ["start", "iteration"])
def test_error_of_all_processes_is_printed_once(tmp_path, stage):
    (line,) = tasks(tmp_path, stage, "user", "0 1")
    assert line.startswith("error: the cause in two lines (process ")


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

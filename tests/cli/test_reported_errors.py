import json
from argparse import Namespace

import pytest
import torch

from mim_plugins.cli import user_errors
from mim_plugins.cli.ctrl_c import TRACEBACK_VARIABLE
from mim_plugins.errors import (
    BUILD_ERRORS,
    ArchiveError,
    CheckpointError,
    ConfigError,
    CorruptImageError,
    DataNotFoundError,
    GlobalBatchError,
    NonFiniteLossError,
)


@pytest.fixture(autouse=True)
def _no_traceback_wanted(monkeypatch):
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)


def end(error, **kwargs):
    """Return the exit code of a tool."""
    with pytest.raises(SystemExit) as stop, user_errors(**kwargs):
        raise error
    return stop.value.code


@pytest.mark.parametrize(
    "kind",
    [CheckpointError, ConfigError, DataNotFoundError, GlobalBatchError, NonFiniteLossError],
)
def test_user_errors_become_one_line(kind):
    assert end(kind("first half,\n  second half")) == "error: first half, second half"


@pytest.mark.parametrize(("code", "is_final"), [("the metric is too low", True), (1, False)])
def test_an_exit_with_a_text_is_not_restarted(tmp_path, monkeypatch, code, is_final):
    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    assert end(SystemExit(code)) == code
    assert file.exists() == is_final
    if is_final:
        report = json.loads(file.read_text())
        assert (report["message"], report["can_restart"]) == (code, False)


@pytest.mark.parametrize(
    ("error", "may_help"),
    [
        (OSError(116, "Stale file handle"), True),
        (TimeoutError("the server does not answer"), True),
        (PermissionError(13, "Permission denied"), False),
        (DataNotFoundError("there is no folder"), False),
        (KeyError("num_classes"), False),
    ],
)
def test_only_lasting_errors_of_a_start_prevent_a_restart(tmp_path, monkeypatch, error, may_help):
    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    end(error, also=BUILD_ERRORS)
    assert json.loads(file.read_text())["can_restart"] == may_help


def test_worker_error_is_reduced_to_its_summary():
    for kind in (CorruptImageError, ArchiveError, ConfigError):
        name = kind.__name__
        message = f"Caught {name} in worker 0.\nTraceback:\n{name}: 'a.jpg' is cut"
        assert end(kind(message)) == "error: 'a.jpg' is cut"


def test_missing_file_and_full_memory_have_a_remedy(tmp_path):
    with pytest.raises(SystemExit, match=r"error: there is no file '.*none\.py'$"), user_errors():
        (tmp_path / "none.py").open()
    assert "lower train_dataloader.batch_size" in end(torch.cuda.OutOfMemoryError("CUDA ..."))


def test_rejected_code_in_a_checkpoint_is_reported(tmp_path):
    torch.save(dict(model={}, args=Namespace(lr=1)), tmp_path / "a.pth")
    with (
        pytest.raises(SystemExit, match=r"more than weights \(argparse\.Namespace\).*get a file"),
        user_errors(),
    ):
        torch.load(tmp_path / "a.pth", weights_only=True)


def test_traceback_is_shown_on_request(monkeypatch):
    with pytest.raises(CheckpointError, match="why"), user_errors(traceback=True):
        raise CheckpointError("why")
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(CheckpointError, match="why"), user_errors():
        raise CheckpointError("why")


def test_additional_errors_mention_the_traceback_option(monkeypatch):
    line = end(KeyError("Nix is not in the registry"), also=BUILD_ERRORS)
    assert line == (
        f"error: Nix is not in the registry ({TRACEBACK_VARIABLE}=1 shows the traceback)"
    )
    assert end(CheckpointError("why"), also=BUILD_ERRORS) == "error: why"
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(KeyError), user_errors(also=BUILD_ERRORS):
        raise KeyError("Nix")


def test_additional_errors_count_until_the_condition_holds():
    assert "why" in end(ValueError("why"), also=(ValueError,), until=lambda: False)
    with pytest.raises(ValueError, match="why"), user_errors(False, (ValueError,), lambda: True):
        raise ValueError("why")
    assert end(CheckpointError("why"), until=lambda: True) == "error: why"


def test_ctrl_c_gives_one_line_and_exit_code_130(capsys, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert end(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted by Ctrl-C\n"
    with pytest.raises(KeyboardInterrupt), user_errors(traceback=True):
        raise KeyboardInterrupt


def test_program_errors_propagate():
    with pytest.raises(ZeroDivisionError), user_errors():
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "text",
    [
        "No module named 'mmcv._ext'",
        "No module named 'mmseg.models'",
        "mmdet is not installed, please install mmdet manually",
    ],
)
def test_missing_operators_and_extras_have_a_remedy(text):
    for line in (end(ImportError(text), also=BUILD_ERRORS), end(ConfigError(f"config: {text}"))):
        assert "pip install 'mim_plugins[det,seg]'" in line
    assert "pip install" not in end(ImportError("No module named 'mmsegments'"), also=BUILD_ERRORS)


@pytest.mark.parametrize(
    "text",
    [
        "NoneType takes no arguments",
        "cannot import name 'apply_chunking' from 'transformers.modeling_utils' (/x.py)",
    ],
)
def test_models_that_do_not_import_have_a_remedy(text):
    for line in (end(TypeError(text), also=BUILD_ERRORS), end(ConfigError(f"config: {text}"))):
        assert "pip install 'transformers<5'" in line
        assert "default_scope='mim_plugins'" in line


def test_assertion_errors_while_building_are_one_line():
    assert end(AssertionError("2 subfolders, 1000 classes"), also=BUILD_ERRORS).startswith(
        "error: 2 subfolders, 1000 classes"
    )


def test_any_error_in_a_distributed_run_is_one_line(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    assert end(ConfigError("mine")).startswith("error: mine (process 3 of 4 on host '")
    late = end(ValueError("why"), also=BUILD_ERRORS, until=lambda: True)
    assert late.startswith("error: ValueError: why (process 3 of 4")
    assert end(ZeroDivisionError("why")).startswith("error: ZeroDivisionError: why (process 3 of 4")
    with pytest.raises(ZeroDivisionError), user_errors(traceback=True):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("lr"), "error: KeyError: lr"),
        (AssertionError(), "error: AssertionError: no message"),
        (ValueError(" "), "error: ValueError: no message"),
        (KeyError(), "error: KeyError: no message"),
        (AttributeError("width"), "error: AttributeError: width"),
        (ValueError("two words"), "error: two words"),
    ],
)
def test_one_word_message_is_preceded_by_its_type(error, line):
    with pytest.raises(SystemExit) as ended, user_errors(also=BUILD_ERRORS):
        raise error
    assert str(ended.value).startswith(line)

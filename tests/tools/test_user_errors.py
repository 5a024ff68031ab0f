"""Tools report a wrong path in one line, with a traceback on request."""

import runpy
import sys
from pathlib import Path

import pytest

from mim_plugins.errors import CheckpointError

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("MIM_PLUGINS_TRACEBACK", raising=False)

    def run_tool(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(TOOLS / name), run_name="__main__")

    return run_tool


COMMANDS = [
    ("train.py", "none.py"),
    ("test.py", "none.py", "none.pth"),
    ("model_converters/check_parity.py", "none.npz"),
    ("model_converters/convert_checkpoint.py", "none.pth", "out.pth"),
    ("model_converters/export_backbone.py", "none.pth", "out.safetensors"),
    ("model_converters/export_onnx.py", "none.py", "none.pth", "out.onnx"),
    ("analysis_tools/knn.py", "none.py", "--random"),
    ("analysis_tools/model_info.py", "none.py"),
    ("analysis_tools/plot_log.py", "none.pth"),
    ("analysis_tools/predict.py", "none.py", "none.pth", "none.jpg"),
    ("analysis_tools/visualize_reconstruction.py", "none.py", "none.pth", "none.pth"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])
def test_one_line(run, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^error: .*'none\.(py|pth|npz)'[^\n]*$"):
        run(*command)


@pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])
def test_traceback_on_request(run, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIM_PLUGINS_TRACEBACK", "1")
    with pytest.raises((FileNotFoundError, CheckpointError), match="none"):
        run(*command)


@pytest.mark.parametrize("command", COMMANDS[:2], ids=[command[0] for command in COMMANDS[:2]])
def test_traceback_by_option(run, command):
    with pytest.raises(FileNotFoundError, match="none"):
        run(*command, "--traceback")


@pytest.mark.parametrize(
    "command",
    [
        ("train.py",),
        ("test.py", "none.pth"),
        ("model_converters/export_onnx.py", "none.pth", "out.onnx"),
        ("analysis_tools/knn.py", "--random"),
        ("analysis_tools/model_info.py",),
        ("analysis_tools/predict.py", "none.pth", "none.jpg"),
        ("analysis_tools/visualize_reconstruction.py", "none.pth", "none.jpg"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize(
    ("option", "nearest"),
    [
        ("optim_wraper.optimizer.lr=1", "optim_wrapper"),
        ("model.backbone.drop_path_rat=0.1", "model.backbone.drop_path_rate"),
    ],
)
def test_misspelled_options_exit_with_one_line(
    run, command, option, nearest, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("none.pth", "none.jpg"):
        Path(name).touch()
    tool, *rest = command
    with pytest.raises(SystemExit, match=rf"^error: option '[^\n]*did you mean {nearest}\?[^\n]*$"):
        run(tool, "mixmae/swin_b_finetune_100e", *rest, "--cfg-options", option)

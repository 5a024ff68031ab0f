"""Every tool that a wrong path may be given to says so in one line, and more on request."""

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
    ("check_parity.py", "none.npz"),
    ("convert_checkpoint.py", "none.pth", "out.pth"),
    ("export_backbone.py", "none.pth", "out.safetensors"),
    ("export_onnx.py", "none.py", "none.pth", "out.onnx"),
    ("knn.py", "none.py", "--random"),
    ("model_info.py", "none.py"),
    ("plot_log.py", "none.pth"),
    ("predict.py", "none.py", "none.pth", "none.jpg"),
    ("visualize_reconstruction.py", "none.py", "none.pth", "none.pth"),
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
        ("export_onnx.py", "none.pth", "out.onnx"),
        ("knn.py", "--random"),
        ("model_info.py",),
        ("predict.py", "none.pth", "none.jpg"),
        ("visualize_reconstruction.py", "none.pth", "none.jpg"),
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
def test_a_misspelt_option_is_one_line(run, command, option, nearest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("none.pth", "none.jpg"):
        Path(name).touch()
    tool, *rest = command
    with pytest.raises(SystemExit, match=rf"^error: option '[^\n]*did you mean {nearest}\?[^\n]*$"):
        run(tool, "mixmae/swin_b_finetune_100e", *rest, "--cfg-options", option)

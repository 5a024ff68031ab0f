"""Tools report a wrong path in one line, with a traceback on request."""

import re
import sys
from pathlib import Path

import pytest
from tool_runs import run_tool

from mim_plugins.datasets import image_files
from mim_plugins.errors import CheckpointError


@pytest.fixture(autouse=True)
def _in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIM_PLUGINS_TRACEBACK", raising=False)


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
def test_one_line(command):
    assert re.search(r"^error: .*'none\.(py|pth|npz)'.*$", run_tool(*command, code=1).stderr)


@pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])
def test_traceback_on_request(command, monkeypatch):
    monkeypatch.setenv("MIM_PLUGINS_TRACEBACK", "1")
    with pytest.raises((FileNotFoundError, CheckpointError), match="none"):
        run_tool(*command)


@pytest.mark.parametrize("command", COMMANDS[:2], ids=[command[0] for command in COMMANDS[:2]])
def test_traceback_by_option(command):
    with pytest.raises(FileNotFoundError, match="none"):
        run_tool(*command, "--traceback")


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
def test_misspelled_options_exit_with_one_line(command, option, nearest):
    for name in ("none.pth", "none.jpg"):
        Path(name).touch()
    tool, *rest = command
    command = (tool, "mixmae/swin_b_finetune_100e", *rest, "--cfg-options", option)
    assert f"did you mean {nearest}?" in run_tool(*command, code=1).stderr


@pytest.mark.parametrize(
    "command",
    [
        ("misc/check_dataset.py", "data", "--workers", "1"),
        ("dataset_converters/make_label_subset.py", "data", "--fraction", "0.5"),
        ("dataset_converters/prepare_dataset.py", "imagenet", "data"),
        ("dataset_converters/prepare_dataset.py", "pack", "data", "out.tar"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_ctrl_c_while_a_folder_is_read_is_one_line(command, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    for name in ("data/train", "data/val"):
        Path(name).mkdir(parents=True)
    monkeypatch.setattr(image_files._Walk, "run", interrupt)
    more = ": no pack was written" if "pack" in command else ""
    assert run_tool(*command, code=130).stderr == f"interrupted by Ctrl-C{more}\n"


class Interrupts:
    """Finder of one module, whose import Ctrl-C interrupts."""

    def __init__(self, module):
        self.module = module

    def find_spec(self, name, *_):
        if name == self.module:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("training", ("train.py", "none.py")),
        ("testing", ("test.py", "none.py", "none.pth")),
        ("knn_table", ("analysis_tools/knn.py", "none.py", "--random")),
        ("curves", ("analysis_tools/plot_log.py", "none.pth")),
    ],
)
def test_ctrl_c_while_a_tool_is_loaded_is_one_line(module, command, monkeypatch):
    name = f"mim_plugins.cli.{module}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupts(name), *sys.meta_path])
    assert run_tool(*command, code=130).stderr == "interrupted by Ctrl-C\n"
    if "train.py" in command:
        with pytest.raises(KeyboardInterrupt):
            run_tool(*command, "--traceback")

"""tools/misc/print_config.py as a user calls it."""

from pathlib import Path

import pytest
from mmengine.config import Config
from tool_runs import run_tool

TOOL = Path(__file__).parents[2] / "tools/misc/print_config.py"


@pytest.fixture
def print_config(monkeypatch, capsys):
    return lambda *arguments: run_tool(TOOL, arguments, monkeypatch, capsys)


def test_printed_config_contains_bases_and_options(print_config):
    result = print_config("mixmae/swin_b_600e", "--cfg-options", "train_cfg.max_epochs=7")

    cfg = Config.fromstring(result.stdout, ".py")
    assert result.returncode == 0
    assert cfg.train_cfg.max_epochs == 7
    assert cfg.model.backbone.arch == "base"
    assert "_base_" not in result.stdout


def test_unknown_options_end_in_one_line(print_config):
    result = print_config("mixmae/swin_b_600e", "--cfg-options", "train_cfg.max_epoch=7")

    assert result.returncode == 1
    assert "max_epochs" in result.stderr
    assert "Traceback" not in result.stderr

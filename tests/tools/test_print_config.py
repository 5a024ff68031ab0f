from mmengine.config import Config
from tool_runs import run_tool

TOOL = "misc/print_config.py"


def test_printed_config_contains_bases_and_options():
    printed = run_tool(TOOL, "mixmae/swin_b_600e", "--cfg-options", "train_cfg.max_epochs=7").stdout
    cfg = Config.fromstring(printed, ".py")
    assert cfg.train_cfg.max_epochs == 7
    assert cfg.model.backbone.arch == "base"
    assert "_base_" not in printed


def test_unknown_options_end_in_one_line():
    wrong = ("mixmae/swin_b_600e", "--cfg-options", "train_cfg.max_epoch=7")
    assert "max_epochs" in run_tool(TOOL, *wrong, code=1).stderr

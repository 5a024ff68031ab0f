"""tools/analysis_tools/model_info.py on configs of the repository."""

from tool_runs import run_tool

TOOL = "analysis_tools/model_info.py"


def info(*arguments):
    return run_tool(TOOL, *arguments).stdout


def number(text, label):
    (line,) = [line for line in text.splitlines() if line.strip().startswith(label)]
    return float(line.strip().removeprefix(label).split()[0])


def test_options_change_the_model():
    text = info("mixmae/swin_b_600e", "--cfg-options", "model.decoder.depth=1")
    assert number(text, "parameters") < 100


def test_unknown_config_exits_with_one_line():
    assert "neither a config file" in run_tool(TOOL, "mixmae/nothing", code=1).stderr

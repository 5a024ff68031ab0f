"""The console script and its subcommands."""

import os
import re
import subprocess
import sys

import pytest

from mim_plugins.cli.commands.names import COMMANDS
from mim_plugins.cli.main import build_parser, main
from mim_plugins.compat import breaks_multimodal_models

HELP = """
import sys
from mim_plugins.cli.main import build_parser
build_parser().format_help()
print([name for name in ("torch", "cv2", "mmcv") if name in sys.modules])
"""


@pytest.mark.skipif(
    breaks_multimodal_models(), reason="mmpretrain has to be imported to adapt it to transformers"
)
def test_parser_of_all_commands_imports_no_torch():
    command = [sys.executable, "-c", HELP]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("mim-plugins pre", {"pretrain", "predict"}),
        ("mim-plugins pretrain x --im", {"--img-size"}),
        ("mim-plugins status --j", {"--json"}),
    ],
)
def test_shell_completion_offers_commands_and_options(line, completed, tmp_path):
    pytest.importorskip("argcomplete")
    variables = dict(
        _ARGCOMPLETE="1",
        _ARGCOMPLETE_STDOUT_FILENAME=str(tmp_path / "out"),
        _ARGCOMPLETE_IFS="\n",
        _ARGCOMPLETE_SHELL="bash",
        COMP_LINE=line,
        COMP_POINT=str(len(line)),
    )
    command = [sys.executable, "-m", "mim_plugins"]
    subprocess.run(command, env=os.environ | variables, check=True)
    assert {word.strip() for word in (tmp_path / "out").read_text().split("\n")} == completed


def test_help_describes_every_command_in_a_sentence():
    text = build_parser().format_help()
    for name in COMMANDS:
        assert re.search(rf"^    {name}\s+[A-Z]", text, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_options(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: mim-plugins {name}")
    assert "options:" in text


def test_idle_threads_sleep_unless_the_user_decides(monkeypatch, tmp_path):
    for given, found in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        if given:
            monkeypatch.setenv("OMP_WAIT_POLICY", given)
        with pytest.raises(SystemExit, match="there is no"):
            main(["status", str(tmp_path)])
        assert os.environ["OMP_WAIT_POLICY"] == found


def test_unknown_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit):
        main(["pretrian"])
    assert "pretrain" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("knn", "x.py"), "give either a checkpoint or --random"),
        (("predict", "x.py", "x.pth", "x.jpg", "--topk", "0"), "--topk 0 must be at least 1"),
        (("reconstruct", "x.py", "x.pth", "a", "--out", "a.txt"), "must end in one of .png"),
        (("embed", "x.py", "x.pth", "a", "--out", "a.txt"), "must end in one of .npz .csv"),
        (("embed", "x.py", "x.pth", "a", "--batch-size", "0"), "must be at least 1"),
        (("export", "x.pth", "y.bin", "--format", "gguf"), "--format gguf is not one of"),
    ],
)
def test_wrong_options_are_usage_errors(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]

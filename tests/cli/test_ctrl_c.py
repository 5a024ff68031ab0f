import pytest

from mim_plugins.cli import main
from mim_plugins.cli.commands import info
from mim_plugins.cli.ctrl_c import TRACEBACK_VARIABLE, one_line_on_ctrl_c


@pytest.fixture(autouse=True)
def _first_process_without_tracebacks(monkeypatch):
    for name in ("RANK", TRACEBACK_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def interrupt(*texts):
    raise KeyboardInterrupt(*texts)


@pytest.mark.parametrize(("texts", "more"), [((), ""), (("no file",), ": no file")])
def test_line_has_the_text_of_the_interrupt(texts, more, capsys, monkeypatch):
    run = one_line_on_ctrl_c()(interrupt)
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(SystemExit) as stop:
            run(*texts)
        assert stop.value.code == 130
        assert capsys.readouterr().err.startswith(f"interrupted by Ctrl-C{more}" * (rank == "0"))
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(KeyboardInterrupt):
        run(*texts)


def test_other_ends_are_kept():
    for end in (SystemExit(3), ValueError("why")):
        with pytest.raises(type(end)) as raised, one_line_on_ctrl_c():
            raise end
        assert raised.value is end


def test_commands_end_in_one_line(capsys, monkeypatch):
    monkeypatch.setattr(info, "run", lambda *_: interrupt())
    with pytest.raises(SystemExit) as stop:
        main.main(["info", "x"])
    assert stop.value.code == 130
    assert capsys.readouterr().err == "interrupted by Ctrl-C\n"

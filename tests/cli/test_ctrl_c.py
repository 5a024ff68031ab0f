import contextlib
import errno
import os
import sys

import pytest

from mim_plugins.cli import main, user_errors
from mim_plugins.cli.commands import info
from mim_plugins.cli.ctrl_c import TRACEBACK_VARIABLE, one_line_on_ctrl_c
from mim_plugins.engine.guards import guarded_console


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


@contextlib.contextmanager
def closed_output():
    """Replace the standard output by a pipe without a reader; the rest in it must be discarded."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream, contextlib.redirect_stdout(stream):
        yield


@pytest.mark.parametrize("text", ["short, so it is buffered", "x" * 10**6, ""])
def test_commands_end_silently_without_a_reader(text, capsys, monkeypatch):
    def show(*_):
        with user_errors(also=(OSError,)):
            print(text, flush=not text)

    monkeypatch.setattr(info, "run", show)
    with pytest.raises(SystemExit) as stop, closed_output():
        main.main(["info", "x"])
    assert stop.value.code == 141
    assert capsys.readouterr().err == ""


def test_messages_and_help_are_kept_without_a_reader():
    def end():
        print("a result")
        sys.exit("error: why")

    with pytest.raises(SystemExit, match=r"^error: why$"), closed_output():
        one_line_on_ctrl_c()(end)()
    with pytest.raises(SystemExit) as stop, closed_output():
        main.main(["info", "--help"])
    assert stop.value.code == 0


@pytest.mark.parametrize("reports", [True, False])
def test_other_broken_pipes_remain_errors(reports):
    def write():
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb", buffering=0) as stream:
            stream.write(b"x")

    kinds = (OSError,) if reports else ()
    run = one_line_on_ctrl_c()(user_errors(also=kinds)(write))
    with pytest.raises(SystemExit if reports else BrokenPipeError, match="Broken pipe"):
        run()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_broken_pipe_of_a_training_is_an_error_without_a_reader(monkeypatch, processes):
    monkeypatch.setenv("WORLD_SIZE", processes)
    kind, text = (RuntimeError, "storage") if processes == "1" else (SystemExit, "error: .*storage")

    def train():
        with guarded_console(), user_errors():
            print("iteration 1", flush=True)
            raise BrokenPipeError(errno.EPIPE, "storage")

    with pytest.raises(kind, match=text), closed_output():
        one_line_on_ctrl_c()(train)()


def test_trained_run_is_complete_without_a_reader():
    with closed_output(), one_line_on_ctrl_c(), guarded_console():
        print("iteration 1")

import os
import pty
import re
import sys
import threading
from types import SimpleNamespace

import pytest
from mmengine.hooks import Hook
from tiny_run import Interrupt, toy_runner

from mim_plugins.cli import ConsoleRunner
from mim_plugins.engine.hooks import ProgressHook

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Reporting(Hook):
    """Logs a line in each iteration, and the progress of an evaluation after the second."""

    def after_train_iter(self, runner, *args, **kwargs):
        runner.logger.warning(f"line {runner.iter} {'x' * 60} end")
        print(f"printed {runner.iter}")
        (bar,) = (hook for hook in runner.hooks if isinstance(hook, ProgressHook))
        if runner.iter == 1:
            for done in range(4):
                bar._refreshed = float("-inf")
                bar.show_evaluation("k-NN", done, 3)


class Terminal:
    """Pseudo-terminal as the standard output, whose content is read by a thread.

    Created within a test, because pytest replaces the standard output after the fixtures.
    """

    def __init__(self, monkeypatch):
        self._main, child = pty.openpty()
        self.stream = os.fdopen(child, "w", buffering=1)
        self._content = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        monkeypatch.setattr(sys, "stdout", self.stream)
        monkeypatch.setenv("COLUMNS", "140")
        monkeypatch.setenv("TERM", "xterm")
        for name in ("NO_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
            monkeypatch.delenv(name, raising=False)

    def _read(self):
        while True:
            try:
                self._content += os.read(self._main, 65536)
            except OSError:  # the other end is closed
                return

    def close(self):
        """Return everything that was written."""
        self.stream.close()
        self._thread.join(10)
        os.close(self._main)
        return self._content.decode()


def test_terminal_shows_bars_below_all_log_lines(monkeypatch, tmp_path):
    terminal = Terminal(monkeypatch)
    runner = toy_runner(tmp_path, hooks=[ProgressHook(), Reporting()], runner=ConsoleRunner)
    runner.train()
    assert sys.stdout is terminal.stream
    text = terminal.close()
    assert "\x1b[?25h" in text

    lines = [line.strip() for line in re.split(r"[\r\n]+", CONTROL.sub("", text))]
    found = [line for line in lines if re.search(r"line \d x|printed \d", line)]
    assert [re.sub(r".* - (?=line)", "", line) for line in found] == [
        text
        for number in range(4)
        for text in (f"line {number} {'x' * 60} end", f"printed {number}")
    ]
    assert any(re.match(r"training .* 1/4 loss [\d.]+ +ETA", line) for line in lines)
    assert [n for n in range(1, 4) if any(re.match(rf"k-NN .*{n}/3", line) for line in lines)]


def test_bars_and_redirection_end_with_an_error(monkeypatch, tmp_path):
    terminal = Terminal(monkeypatch)
    runner = toy_runner(tmp_path, hooks=[ProgressHook(), Interrupt(2)], runner=ConsoleRunner)
    (console,) = (each for each in runner.logger.handlers if type(each).__name__ == "StreamHandler")
    before = console.stream
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert sys.stdout is terminal.stream
    assert console.stream is before
    assert "1/4" in terminal.close()


@pytest.mark.parametrize("rank", [0, 1])
def test_only_a_terminal_of_the_main_process_has_bars(rank, tmp_path, monkeypatch, capsys):
    if rank:
        terminal = Terminal(monkeypatch)
        monkeypatch.setattr("mim_plugins.engine.hooks.progress_hook.is_main_process", lambda: False)
    toy_runner(tmp_path, hooks=[ProgressHook(), Reporting()]).train()
    text = terminal.close() if rank else capsys.readouterr().out
    assert "ETA" not in text
    assert "\r" not in text.replace("\r\n", "\n")
    assert text.count("printed") == 4


def test_evaluation_without_terminal_logs_some_lines(monkeypatch):
    lines, hook = [], ProgressHook(seconds=10)
    hook._logger = SimpleNamespace(info=lines.append)
    for done in range(8):
        now = 4.0 * done
        monkeypatch.setattr("time.monotonic", lambda now=now: now)
        hook.show_evaluation("k-NN", done, 7)
    assert lines == ["k-NN: 4 of 7 batches", "k-NN: 7 of 7 batches"]


def test_interval_that_is_not_positive_is_rejected():
    with pytest.raises(ValueError, match="seconds=0 must be positive"):
        ProgressHook(seconds=0)

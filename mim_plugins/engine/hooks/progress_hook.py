"""Hook that shows the progress of a run on a terminal."""

import logging
import sys
import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from ...registry import HOOKS

_SHOWN = {"train/images_per_s": "{} images/s", "train/loss": "loss {}"}
_REFRESH = 0.5  # seconds
_SPEED_PERIOD = 300.0  # seconds; iterations of large batches take many


@HOOKS.register_module()
class ProgressHook(Hook):
    """Show a bar with images per second, loss and remaining time below the log lines.

    Evaluations have a second bar. Only the main process shows bars, and only on a terminal. In a
    pipe or a file the log lines alone show the progress, and those of an evaluation by another hook
    come from :meth:`show_evaluation`.

    The bars are drawn by the training thread. With a thread of their own, a loading process could
    be forked while that thread holds the lock of the console, and would wait for it forever.

    Args:
        seconds: least time between two log lines of an evaluation.

    Raises:
        ValueError: ``seconds`` is not positive.
    """

    # after ThroughputHook, before MMEngine's log, BELOW_NORMAL (60)
    priority = 58

    def __init__(self, seconds: float = 30) -> None:
        if not seconds > 0:
            raise ValueError(f"ProgressHook: seconds={seconds} must be positive")
        self.seconds = seconds
        self._bars: Progress | None = None
        self._task = TaskID(0)
        self._evaluation: TaskID | None = None
        self._streams: list[tuple[logging.StreamHandler, Any]] = []
        self._refreshed = self._logged = float("-inf")

    def before_train(self, runner: Runner) -> None:
        """Start the bar if the output is a terminal."""
        self._logger = runner.logger
        console = Console()
        if not is_main_process() or not (sys.stdout.isatty() and console.is_interactive):
            return
        columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn())
        details = (TextColumn("{task.fields[details]}"), TextColumn("ETA"), TimeRemainingColumn())
        self._bars = Progress(
            *columns,
            *details,
            console=console,
            auto_refresh=False,
            transient=True,
            speed_estimate_period=_SPEED_PERIOD,
            expand=True,
        )
        self._task = self._bars.add_task(
            "training", total=runner.max_iters, completed=runner.iter, details=""
        )
        self._bars.start()
        console.show_cursor()  # a killed run must not leave a terminal without one
        self._print_log_above(runner.logger)

    def before_train_epoch(self, runner: Runner) -> None:
        """Show the epoch."""
        if self._bars is None:
            return
        has_epochs = not isinstance(runner.train_loop, IterBasedTrainLoop)
        name = f"epoch {runner.epoch + 1}/{runner.max_epochs}" if has_epochs else "training"
        self._bars.update(self._task, description=name)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Advance the bar."""
        if self._bars is None:
            return
        self._bars.update(self._task, completed=runner.iter + 1)
        if self._is_due():
            self._bars.update(self._task, details=_details(runner))
            self._bars.refresh()

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Any = None,
    ) -> None:
        """Advance the bar of the validation; MMEngine logs it."""
        if self._bars is not None:
            self.show_evaluation("validation", batch_idx + 1, len(runner.val_dataloader))

    def after_train(self, runner: Runner) -> None:
        """Remove the bars."""
        self.close()

    def show_evaluation(self, title: str, done: int, total: int) -> None:
        """Show the progress of an evaluation; other hooks that evaluate call it.

        Args:
            title: name of the evaluation.
            done: number of evaluated batches.
            total: number of all batches.
        """
        if self._bars is None:
            self._log_evaluation(title, done, total)
            return
        if self._evaluation is None:
            self._evaluation = self._bars.add_task("", total=total, details="")
        self._bars.update(self._evaluation, description=title, completed=done, total=total)
        if done >= total:
            self._bars.remove_task(self._evaluation)
            self._evaluation = None
        if self._is_due():
            self._bars.refresh()

    def close(self) -> None:
        """Remove the bars, also after an error; further calls change nothing."""
        if self._bars is None:
            return
        for handler, stream in self._streams:
            handler.setStream(stream)
        self._bars.stop()
        self._bars, self._evaluation, self._streams = None, None, []

    def _log_evaluation(self, title: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done <= 1:
            self._logged = now
        elif now - self._logged >= self.seconds:
            self._logged = now
            self._logger.info(f"{title}: {done} of {total} batches")

    def _is_due(self) -> bool:
        now = time.monotonic()
        is_due = now - self._refreshed >= _REFRESH
        if is_due:
            self._refreshed = now
        return is_due

    def _print_log_above(self, logger: logging.Logger) -> None:
        """Redirect the log on the console to the stream that prints above the bars."""
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                self._streams.append((handler, handler.stream))
                handler.setStream(sys.stdout)


def _details(runner: Runner) -> str:
    """Return the newest values in the message hub, which are those of the last log on a GPU."""
    buffers = runner.message_hub.log_scalars
    found = {name: buffers[name] for name in _SHOWN if name in buffers}
    return ", ".join(
        _SHOWN[name].format(_short(float(buffer.current())))
        for name, buffer in found.items()
        if len(buffer.data[0])
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"

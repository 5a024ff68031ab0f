"""Hook that ends a run in which a process hangs, and names that process."""

import contextlib
import faulthandler
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ...registry import HOOKS
from ..guards.guarded_writes import try_writing

FOLDER = "heartbeats"
STAGES = ("loading data", "forward pass", "backward pass and step", "validation")


@HOOKS.register_module()
class StallWatchdogHook(Hook):
    """End all processes when one of several makes no progress, with its rank in the log.

    A process that waits for another one looks the same from outside as the one that it waits for.
    So each has a thread that writes how far it has come (iteration and stage) to a file in
    ``heartbeats`` in the work folder, which all must share. When nothing has moved for ``timeout``
    seconds, the processes that are furthest behind are named, print where they are, and all
    exit with code 1. A run of one process is not watched, nor what hooks prepare before the first
    epoch, such as a scan of a data set.

    Args:
        timeout: seconds without progress; above the longest pause of a healthy run (loading of the
            first batch, a large evaluation, saving), and below the time limit of the collectives
            (10 minutes for NCCL), which would end the run without saying who hangs.

    Raises:
        ValueError: a ``timeout`` that is not positive.
    """

    priority = "HIGHEST"

    def __init__(self, timeout: float = 480) -> None:
        if timeout <= 0:
            raise ValueError(f"StallWatchdogHook: timeout={timeout} must be positive")
        self.timeout = timeout
        self._period = min(timeout / 4, 30)
        self._stop: threading.Event | None = None  # made later: it cannot be pickled
        self._handle: Any = None
        self._thread: threading.Thread | None = None
        self._progress = (0, 0, 0)
        self._since = time.monotonic()

    def before_train(self, runner: Runner) -> None:
        """Prepare to watch."""
        self._runner = runner
        if runner.world_size == 1:
            return
        self._folder = Path(runner.work_dir) / FOLDER
        self._advance(0)
        self._try_publishing()
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._handle = model.register_forward_hook(self._after_forward)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(self._stop,), daemon=True)

    def before_train_epoch(self, runner: Runner) -> None:
        """Note the progress; start to watch at the first epoch."""
        self._advance(0)
        if self._thread is not None and self._thread.ident is None:
            self._thread.start()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        """Note the progress."""
        self._advance(1)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Note the progress."""
        self._advance(0, next_iteration=True)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Any = None,
    ) -> None:
        """Note the progress."""
        self.heartbeat(batch_idx + 1)

    def heartbeat(self, batches: int) -> None:
        """Note the progress of an evaluation, also one that another hook does.

        Args:
            batches: evaluated so far.
        """
        self._advance(STAGES.index("validation"), batch=batches)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Give saving the whole time limit."""
        self._since = time.monotonic()

    def after_train(self, runner: Runner) -> None:
        """Stop watching."""
        if self._stop is not None:
            self._stop.set()
        if self._handle is not None:
            self._handle.remove()

    def _after_forward(self, *_: object) -> None:
        if self._runner.model.training:
            self._advance(2)

    def _advance(self, stage: int, batch: int = 0, next_iteration: bool = False) -> None:
        self._progress = (self._runner.iter + next_iteration, stage, batch)
        self._since = time.monotonic()

    def _publish(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"rank_{self._runner.rank}.json"
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._progress))
        os.replace(temporary, file)

    def _try_publishing(self) -> None:
        try_writing(self._runner.logger, f"progress in '{self._folder}'", self._publish)

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(self._period):
            self._try_publishing()
            if time.monotonic() - self._since > self.timeout:
                self._end_run()

    def _end_run(self) -> None:
        time.sleep(self._period)  # until all have written that they stand still
        stalled, report = self._find_stalled()
        self._runner.logger.error(report)
        if self._runner.rank in stalled:
            faulthandler.dump_traceback(sys.stderr)
        else:
            time.sleep(2 * self._period)  # a launcher ends all when one exits: let them report
        os._exit(1)  # the main thread may be inside a collective, and cannot be interrupted

    def _find_stalled(self) -> tuple[list[int], str]:
        """Ranks that are furthest behind, and what to say about them."""
        progress: dict[int, tuple[int, ...]] = {}
        for rank in range(self._runner.world_size):
            with contextlib.suppress(OSError, ValueError):  # missing, unreadable or half a file
                text = (self._folder / f"rank_{rank}.json").read_text()
                progress[rank] = tuple(json.loads(text))
        if not progress:
            return [], f"no progress for {self.timeout:g} s, nor news of any rank in {self._folder}"
        last = min(progress.values())
        stalled = [rank for rank, reached in progress.items() if reached == last]
        where = f"iteration {last[0] + 1}, {STAGES[last[1]]}"
        text = f"no progress for {self.timeout:g} s: "
        if len(stalled) == self._runner.world_size:
            text += f"all ranks stand at {where}; the network or a shared disk may hang"
        else:
            text += f"rank {', '.join(map(str, stalled))} stands still at {where}"
        silent = sorted(set(range(self._runner.world_size)) - set(progress))
        if silent:
            text += f"; no news of rank {', '.join(map(str, silent))} in {self._folder}"
        return stalled, text

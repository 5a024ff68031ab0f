"""Hook that ends a distributed run if a process hangs, and logs the rank of that process."""

import contextlib
import faulthandler
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from ..guards.failure_report import report_failure
from ..guards.guarded_writes import try_writing
from ..model_wrapper import unwrap_model

FOLDER = "heartbeats"
STAGES = ("loading data", "forward pass", "backward pass and step", "validation")


@HOOKS.register_module()
class StallWatchdogHook(Hook):
    """End all processes when one of them makes no progress, with its rank in the log.

    In a collective operation, a hanging process cannot be distinguished from the processes that it
    blocks. Therefore a thread of each process writes its progress (iteration and stage) to a file
    in ``heartbeats`` in the work folder, which all processes must share. After ``timeout`` seconds
    without progress, the ranks that are furthest behind are logged, these ranks print their stack
    traces, and all processes exit with code 1. Monitoring starts with the first epoch, or with the
    validation that a resumed run runs before it, after setup work of other hooks such as a scan of
    a data set. A single process is not monitored.

    Args:
        timeout: seconds without progress. Must exceed the longest pause of a healthy run (loading
            the first batch, a large evaluation, saving) and stay below the time limit of the
            collectives (10 minutes for NCCL), which ends the run without a rank in the log.

    Raises:
        ValueError: ``timeout`` is not positive.
    """

    priority = "HIGHEST"

    def __init__(self, timeout: float = 480) -> None:
        if timeout <= 0:
            raise ValueError(f"StallWatchdogHook: timeout={timeout} must be positive")
        self.timeout = timeout
        self._period = min(timeout / 4, 30)
        self._runner: Any = None
        self._stop: threading.Event | None = None  # created later, because it cannot be pickled
        self._handle: Any = None
        self._thread: threading.Thread | None = None
        self._progress = (0, 0, 0)
        self._since = time.monotonic()

    def before_train(self, runner: Runner) -> None:
        """Register the forward hook and create the monitoring thread."""
        self._runner = runner
        if runner.world_size == 1:
            return
        self._folder = Path(runner.work_dir) / FOLDER
        self._advance(0)
        self._try_publishing()
        self._handle = unwrap_model(runner.model).register_forward_hook(self._after_forward)
        position = getattr(runner.train_dataloader, "position", None)
        if position is not None:  # of this package's loops
            position.heartbeat = self._restart_limit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(self._stop,), daemon=True)

    def before_train_epoch(self, runner: Runner) -> None:
        """Record progress; start the thread at the first epoch."""
        self._advance(0)
        self._start_thread()

    def before_val(self, runner: Runner) -> None:
        """Record progress; start the thread at a validation before the first epoch."""
        self.heartbeat(0)
        self._start_thread()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        """Record progress."""
        self._advance(1)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Record progress."""
        self._advance(0, next_iteration=True)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: Any = None,
    ) -> None:
        """Record progress."""
        self.heartbeat(batch_idx + 1)

    def heartbeat(self, batches: int) -> None:
        """Record the progress of an evaluation; other hooks that evaluate call it, too.

        Args:
            batches: number of batches evaluated so far.
        """
        self._advance(STAGES.index("validation"), batch=batches)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restart the time limit for saving."""
        self._restart_limit()

    def after_train(self, runner: Runner) -> None:
        """Stop the thread and remove the forward hook."""
        if self._stop is not None:
            self._stop.set()
        if self._handle is not None:
            self._handle.remove()

    def _restart_limit(self) -> None:
        self._since = time.monotonic()

    def _start_thread(self) -> None:
        if self._thread is not None and self._thread.ident is None:
            self._thread.start()

    @torch.compiler.disable  # reading the clock would divide the graph of the model
    def _after_forward(self, *_: object) -> None:
        if self._runner.model.training:
            self._advance(2)

    def _advance(self, stage: int, batch: int = 0, next_iteration: bool = False) -> None:
        self._since = time.monotonic()
        if self._runner is not None:  # None in an evaluation without training
            self._progress = (self._runner.iter + next_iteration, stage, batch)

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
        time.sleep(self._period)  # until all processes have published their last progress
        stalled, report = self._find_stalled()
        self._runner.logger.error(report)
        report_failure(report, can_restart=True)
        if self._runner.rank in stalled:
            faulthandler.dump_traceback(sys.stderr)
        else:
            # a launcher ends all processes when one exits, so the stalled ones report first
            time.sleep(2 * self._period)
        os._exit(1)  # the main thread may be inside a collective, and cannot be interrupted

    def _find_stalled(self) -> tuple[list[int], str]:
        """Return the ranks that are furthest behind, and a message about them."""
        progress: dict[int, tuple[int, ...]] = {}
        for rank in range(self._runner.world_size):
            with contextlib.suppress(OSError, ValueError):  # missing, unreadable or half a file
                text = (self._folder / f"rank_{rank}.json").read_text()
                progress[rank] = tuple(json.loads(text))
        if not progress:
            return [], f"no progress for {self.timeout:g} s, and no heartbeat in {self._folder}"
        last = min(progress.values())
        stalled = [rank for rank, reached in progress.items() if reached == last]
        where = f"iteration {last[0] + 1}, {STAGES[last[1]]}"
        text = f"no progress for {self.timeout:g} s: "
        if len(stalled) == self._runner.world_size:
            text += f"all ranks stopped at {where}; the network or a shared disk may hang"
        else:
            text += f"rank {', '.join(map(str, stalled))} stopped at {where}"
        missing = sorted(set(range(self._runner.world_size)) - set(progress))
        if missing:
            text += f"; no heartbeat of rank {', '.join(map(str, missing))} in {self._folder}"
        return stalled, text

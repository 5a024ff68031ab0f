"""Hook that logs each automatic restart of a run in one line."""

import json
import os
import time
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...checkpoints import write_atomically
from ...registry import HOOKS
from ..batch_images import images_per_batch
from ..guards.failure_report import ERROR_FILE_VARIABLE
from ..guards.guarded_writes import try_writing

LAUNCH_VARIABLE = "TORCHELASTIC_RUN_ID"  # set by torchrun
CAUSE_VARIABLE = "MIM_PLUGINS_RESTART"  # set by tools/misc/restarting_agent.py
FILE_NAME = "restarts.json"


@HOOKS.register_module()
class RestartHook(Hook):
    """Log cause, rank, lost iterations and duration of each restart by the launcher.

    The file ``restarts.json`` in the work folder contains the id of the launch, the global batch
    and the lines of all restarts. With it, a restarted process distinguishes a restart from a new
    run. Each process writes its iteration to a local file of the launcher, so the number of lost
    iterations is exact even after SIGKILL. ``train.py`` adds this hook to restartable runs.

    Args:
        launch: id of the launch, the same in all its processes and restarts.
    """

    priority = "HIGHEST"

    def __init__(self, launch: str) -> None:
        self.launch = launch
        self._progress: int | None = None
        self._cause: dict[str, Any] | None = None
        self._lines: list[str] | None = None  # to write after the next iteration

    def before_train(self, runner: Runner) -> None:
        """Open the file of the progress, and choose the first cause of a restart."""
        file = os.environ.get(ERROR_FILE_VARIABLE)
        if file:
            progress = Path(file).with_name("progress")
            self._progress = os.open(progress, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        own = json.loads(os.environ.get(CAUSE_VARIABLE, "null"))
        causes = [cause for cause in all_gather_object(own) if cause is not None]
        self._cause = min(causes, key=lambda c: (c["is_consequence"], c["time"]), default=None)
        if self._cause is not None:
            reached = [c["iteration"] for c in causes if c["iteration"] is not None]
            self._cause["iteration"] = max(reached, default=None)
        else:
            self._lines = []

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        """Log the restart before the first iteration."""
        cause, self._cause = self._cause, None
        if cause is None or not is_main_process():
            return
        reached = cause["iteration"]
        lost = "" if reached is None else f", {_lost(runner, *reached)} iterations lost"
        lines = self._known(runner).get("restarts", [])
        line = (
            f"restart {len(lines) + 1} with {get_world_size()} processes: {cause['text']};"
            f" continued after iteration {runner.iter}{lost}, {time.time() - cause['time']:.0f} s"
            " after the failure"
        )
        runner.logger.warning(line)
        self._lines = [*lines, line]

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Record the completed iteration; a write to a local file takes a few microseconds.

        The launch is recorded after the first iteration, when ``--overwrite`` has removed the
        checkpoints of an earlier run and none of this run exists yet. Before, a restart is a new
        run.
        """
        if self._lines is not None and (not is_main_process() or self._write(runner, self._lines)):
            self._lines = None
        if self._progress is not None:
            os.pwrite(self._progress, f"{runner.iter + 1} {runner.max_iters}".encode(), 0)

    def after_train(self, runner: Runner) -> None:
        """Close the file."""
        if self._progress is not None:
            os.close(self._progress)
            self._progress = None

    def _known(self, runner: Runner) -> dict[str, Any]:
        """Return the record of this launch, empty if the file is of an earlier one."""
        known = read_restarts(runner.work_dir)
        return known if known.get("launch") == self.launch else {}

    def _write(self, runner: Runner, lines: list[str]) -> bool:
        counts = (runner.cfg.get("optim_wrapper") or {}).get("accumulative_counts", 1)
        batch = get_world_size() * (images_per_batch(runner.train_dataloader) or 0) * counts
        content = dict(
            launch=self.launch,
            global_batch=self._known(runner).get("global_batch", batch),
            restarts=lines,
        )
        path = Path(runner.work_dir, FILE_NAME)
        return try_writing(
            runner.logger,
            f"'{path}'",
            lambda: write_atomically(path, lambda part: part.write_text(json.dumps(content))),
        )


def _lost(runner: Runner, reached: int, length: int) -> int:
    """Return the lost iterations; fewer processes need more iterations for the same epochs."""
    return max(0, round(reached * runner.max_iters / length) - runner.iter)


def read_restarts(work_dir: str | Path) -> dict[str, Any]:
    """Return the content of ``restarts.json``, empty if it is missing or corrupt."""
    try:
        content = json.loads(Path(work_dir, FILE_NAME).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

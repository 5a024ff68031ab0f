"""Handling of Ctrl-C with a one-line message and the exit code of shells."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..engine.hooks import PreemptionHook
from ..engine.resume.checkpoint_names import local_folder
from ..engine.resume.run_checkpoints import newest_complete
from .ctrl_c import INTERRUPTED_EXIT_CODE, wants_traceback
from .signals import without_interruptions


@contextmanager
def interruptible(runner: Runner, traceback: bool = False) -> Iterator[None]:
    """End a training after Ctrl-C with one line that contains the newest complete checkpoint.

    Args:
        runner: runner that trains in the block.
        traceback: raise the KeyboardInterrupt with its traceback, see :func:`user_errors`.
    """
    try:
        yield
    except KeyboardInterrupt:
        if wants_traceback(traceback):
            raise
        if os.environ.get("RANK", "0") == "0":
            with without_interruptions():
                print(_line(runner), file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)


def _line(runner: Runner) -> str:
    hook = next((each for each in runner.hooks if isinstance(each, CheckpointHook)), None)
    folder, last = runner.work_dir, None
    if hook is not None:
        folder, last = local_folder(hook, runner.work_dir), hook.last_ckpt
    newest = newest_complete(folder, runner, last)
    saves = any(isinstance(hook, PreemptionHook) for hook in runner.hooks)
    return (
        f"interrupted by Ctrl-C at iteration {runner.iter + 1}, which saves nothing: {newest}."
        " --resume continues from the newest complete checkpoint"
        + ("; SIGTERM (kill PID) instead of Ctrl-C saves the run first" if saves else "")
    )

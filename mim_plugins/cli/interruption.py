"""Handling of Ctrl-C with a one-line message and the exit code of shells."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from signal import SIG_IGN, SIGINT, signal

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..engine.hooks import PreemptionHook
from ..engine.resume.checkpoint_names import is_local
from ..engine.resume.run_checkpoints import newest_complete
from .reported_errors import INTERRUPTED_EXIT_CODE, wants_traceback


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
            with _without_further_interrupts():
                print(_line(runner), file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)


@contextmanager
def _without_further_interrupts() -> Iterator[None]:
    previous = signal(SIGINT, SIG_IGN)
    try:
        yield
    finally:
        with suppress(TypeError):  # the previous handler was not set by Python
            signal(SIGINT, previous)


def _line(runner: Runner) -> str:
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    out_dir = next((hook.out_dir for hook in hooks if hook.out_dir), runner.work_dir)
    last = next((hook.last_ckpt for hook in hooks), None)
    newest = newest_complete(out_dir if is_local(out_dir) else None, runner, last)
    saves = any(isinstance(hook, PreemptionHook) for hook in runner.hooks)
    return (
        f"interrupted by Ctrl-C at iteration {runner.iter + 1}, which saves nothing: {newest}."
        " --resume continues from the newest complete checkpoint"
        + ("; SIGTERM (kill PID) instead of Ctrl-C saves the run first" if saves else "")
    )

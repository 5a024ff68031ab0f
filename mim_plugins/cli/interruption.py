"""Ctrl-C, which ends a program with one line and the exit code of shells."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from signal import SIG_IGN, SIGINT, signal

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..engine.hooks import PreemptionHook
from ..engine.resume.run_checkpoints import newest_complete
from .user_errors import INTERRUPTED_EXIT_CODE, wants_traceback


@contextmanager
def interruptible(runner: Runner, traceback: bool = False) -> Iterator[None]:
    """Let Ctrl-C end a training with a line that names the newest complete checkpoint.

    Args:
        runner: trains in the block.
        traceback: let KeyboardInterrupt pass, as :func:`user_errors` lets errors.
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
        with suppress(TypeError):  # of a handler that Python did not set
            signal(SIGINT, previous)


def _line(runner: Runner) -> str:
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    out_dir = next((hook.out_dir for hook in hooks if hook.out_dir), runner.work_dir)
    last = next((hook.last_ckpt for hook in hooks), None)
    newest = newest_complete(None if "://" in str(out_dir) else out_dir, runner, last)
    saves = any(isinstance(hook, PreemptionHook) for hook in runner.hooks)
    return (
        f"interrupted by Ctrl-C at iteration {runner.iter + 1}, which saves nothing: {newest}."
        " --resume goes on from the newest complete checkpoint"
        + ("; SIGTERM (kill PID) in place of Ctrl-C saves the run first" if saves else "")
    )

"""Checkpoints that MMEngine collects, but that are written later."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from mmengine.runner import checkpoint, runner

from .atomic_local_backend import ATOMIC_BACKEND, AtomicLocalBackend


@contextmanager
def captured_checkpoint(copy: Callable[[dict], dict]) -> Iterator[list[Callable[[], object]]]:
    """Collect what MMEngine's runner would write to checkpoints in the block.

    Args:
        copy: function that copies the content, so that training may continue before it is written.

    Yields:
        Functions that write the files.
    """
    found: list[Callable[[], object]] = []

    def capture(content: dict, path: str, **storage: Any) -> None:
        found.append(partial(_write, copy(content), path, **storage))

    original = runner.save_checkpoint
    setattr(runner, "save_checkpoint", capture)  # noqa: B010  MMEngine has no other way to it
    try:
        yield found
    finally:
        setattr(runner, "save_checkpoint", original)  # noqa: B010


@contextmanager
def complete_content(change: Callable[[dict], dict]) -> Iterator[None]:
    """Let ``change`` complete the content of checkpoints after all hooks; write after the block."""
    with captured_checkpoint(change) as writes:
        yield
    for write in writes:
        write()


def saving(
    hook: Any, runner: Any, name: str, meta: dict, is_complete: bool
) -> Callable[[], object]:
    """Return a function that saves a run with the settings of MMEngine's checkpoint hook.

    Args:
        hook: the checkpoint hook.
        runner: runner of the run.
        name: name of the file.
        meta: position of the run.
        is_complete: save optimizer and schedulers regardless of the settings.
    """
    return partial(
        runner.save_checkpoint,
        hook.out_dir,
        name,
        hook.file_client_args,
        save_optimizer=is_complete or hook.save_optimizer,
        save_param_scheduler=is_complete or hook.save_param_scheduler,
        meta=meta,
        by_epoch=hook.by_epoch,
        backend_args=hook.backend_args,
    )


def _write(content: dict, path: str, **storage: Any) -> None:
    if storage.get("backend_args") == dict(backend=ATOMIC_BACKEND):
        AtomicLocalBackend().put(content, path)
    else:
        checkpoint.save_checkpoint(content, path, **storage)

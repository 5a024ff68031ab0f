"""Memory of the best checkpoints in MMEngine's checkpoint hook."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..sharding.sharded_run import gathered_state
from .captured_checkpoint import complete_content
from .checkpoint_files import best_in_folder
from .checkpoint_writer import Outcome, agree
from .deferred_removals import DeferredRemovals
from .resumable_content import make_resumable

_PATHS = ("best_ckpt_path", "best_ckpt_path_dict")


def move_best_into_folder(hook: CheckpointHook) -> None:
    """Restrict the paths read from a checkpoint to the folder of the run."""
    for key in set(_PATHS) & set(vars(hook)):
        setattr(hook, key, best_in_folder(getattr(hook, key), hook.out_dir))


def replace_best(
    hook: Any,
    runner: Runner,
    save: Callable[[], object],
    errors: tuple[type[Exception], ...],
    describe: Callable[[Exception], Outcome],
) -> tuple[list[tuple[int, dict]], Callable[[], object]]:
    """Save the best checkpoint, and keep the old file and its score if saving fails.

    Args:
        hook: the checkpoint hook. It appends the steps to save to its ``deferred`` if this is a
            list.
        runner: runner of the run.
        save: MMEngine's method.
        errors: types of the errors of the storage.
        describe: function that logs such an error and returns the outcome.

    Returns:
        The steps of deferred regular saves with their ``meta``, and a function that removes the old
        file.
    """
    restore, outcome, backend = remember_best(hook, runner), Outcome(True), hook.file_backend
    hook.file_backend = removals = DeferredRemovals(backend)
    saves: list[tuple[int, dict]] = []
    hook.deferred = saves
    try:
        with complete_content(partial(make_resumable, runner)), gathered_state(runner, False):
            save()
    except errors as error:
        outcome = describe(error)
    finally:
        hook.file_backend, hook.deferred = backend, None
    if not agree(outcome, hook.note):
        restore()
        return [], bool
    # the new file may have the name of the old one
    return saves, partial(removals.perform, runner.logger, errors, _paths(hook))


def remember_best(hook: CheckpointHook, runner: Runner) -> Callable[[], None]:
    """Return a function that restores the present scores and paths of the best checkpoints."""
    hub = runner.message_hub
    known = {key: value for key, value in hub.runtime_info.items() if key.startswith("best_")}
    paths = {key: copy.copy(vars(hook)[key]) for key in _PATHS if key in vars(hook)}

    def restore() -> None:
        for key in [each for each in hub.runtime_info if each.startswith("best_")]:
            hub.pop_info(key)
        hub.update_info_dict(known)
        vars(hook).update(paths)

    return restore


def _paths(hook: CheckpointHook) -> set[str]:
    """Return the paths of the present best checkpoints."""
    only, by_metric = (getattr(hook, key, None) for key in _PATHS)
    return {*filter(None, (only, *(by_metric or {}).values()))}

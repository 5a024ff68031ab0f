"""Memory of the best checkpoints in MMEngine's checkpoint hook."""

import copy
from collections.abc import Callable

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from .checkpoint_files import best_in_folder

_PATHS = ("best_ckpt_path", "best_ckpt_path_dict")


def move_best_into_folder(hook: CheckpointHook) -> None:
    """Restrict the paths read from a checkpoint to the folder of the run."""
    for key in set(_PATHS) & set(vars(hook)):
        setattr(hook, key, best_in_folder(getattr(hook, key), hook.out_dir))


def remember_best(hook: CheckpointHook, runner: Runner) -> Callable[[], None]:
    """Return a function that restores the present scores and paths of the best checkpoints."""
    hub = runner.message_hub
    known = {key: value for key, value in hub.runtime_info.items() if key.startswith("best_")}
    paths = {key: copy.copy(getattr(hook, key, None)) for key in _PATHS}

    def restore() -> None:
        for key in [each for each in hub.runtime_info if each.startswith("best_")]:
            hub.pop_info(key)
        hub.update_info_dict(known)
        vars(hook).update({key: path for key, path in paths.items() if path})

    return restore

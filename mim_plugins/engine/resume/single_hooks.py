"""Check of hooks of which a run may have only one."""

from mmengine.hooks import CheckpointHook, EMAHook, Hook, ParamSchedulerHook
from mmengine.runner import Runner

from ...errors import ConfigError

_SINGLE: dict[type[Hook], str] = {
    EMAHook: "each exchanges the weights with its averages, so a resumed run would train averages",
    ParamSchedulerHook: "each steps all schedulers, so they would run at a multiple of their speed",
}


def check_single_hooks(runner: Runner) -> None:
    """Check that hooks that change the same state do not occur twice.

    Raises:
        ConfigError: several hooks average weights, step schedulers or save the best checkpoint.
    """
    for kind, reason in _SINGLE.items():
        found = [type(hook).__name__ for hook in runner.hooks if isinstance(hook, kind)]
        if len(found) > 1:
            raise ConfigError(
                f"the run has {len(found)} hooks of type {kind.__name__} ({', '.join(found)}), but"
                f" {reason}; remove all but one from default_hooks and custom_hooks"
            )
    savers = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.save_best]
    if len(savers) > 1:
        names = [name for hook in savers for name in hook.save_best]
        raise ConfigError(
            f"{len(savers)} checkpoint hooks have save_best, but they store the best score under"
            f" the same name; use one hook with save_best={names}"
        )

"""Check of hooks of which a run may have only one."""

from pathlib import Path

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
        ConfigError: there are several hooks that average weights or step schedulers; or several
            checkpoint hooks save the best checkpoint, or write the same files and remove old ones.
    """
    for kind, reason in _SINGLE.items():
        found = [type(hook).__name__ for hook in runner.hooks if isinstance(hook, kind)]
        if len(found) > 1:
            raise ConfigError(
                f"the run has {len(found)} hooks of type {kind.__name__} ({', '.join(found)}), but"
                f" {reason}; remove all but one from default_hooks and custom_hooks"
            )
    savers = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    _check_best([hook for hook in savers if hook.save_best])
    _check_files(savers, runner.work_dir)


def _check_best(savers: list[CheckpointHook]) -> None:
    if len(savers) > 1:
        names = [name for hook in savers for name in hook.save_best]
        raise ConfigError(
            f"{len(savers)} checkpoint hooks have save_best, but they store the best score under"
            f" the same name; use one hook with save_best={names}"
        )


def _check_files(savers: list[CheckpointHook], work_dir: str) -> None:
    seen: set[tuple[str, str]] = set()
    for hook in savers:
        # MMEngine appends the name of the work folder to out_dir before training
        folder = str(hook.out_dir or work_dir).removesuffix(f"/{Path(work_dir).name}")
        place = (folder, hook.filename_tmpl)
        if place in seen and any(each.max_keep_ckpts > 0 for each in savers):
            raise ConfigError(
                f"two checkpoint hooks write '{hook.filename_tmpl}' into the same folder, so one"
                " with max_keep_ckpts removes files of the other; use one hook, or another"
                " filename_tmpl or out_dir for one of them"
            )
        seen.add(place)

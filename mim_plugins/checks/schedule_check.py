"""Warnings about evaluations that a run is too short for."""

from mmengine.config import Config

from ..config import hook_configs, type_name
from ..wording import counted


def unreached_evaluations(cfg: Config) -> list[str]:
    """Return a warning for each validation or k-NN evaluation that the run ends before."""
    loop = cfg.get("train_cfg") or {}
    lengths = {True: loop.get("max_epochs"), False: loop.get("max_iters")}
    by_epoch = lengths[True] is not None
    starts = {}
    if cfg.get("val_dataloader"):
        starts["train_cfg.val_begin"] = (loop.get("val_begin", 1), by_epoch)
    for field, hook in hook_configs(cfg).items():
        if isinstance(hook, dict) and type_name(hook.get("type")) == "KNNHook":
            interval = hook.get("interval", 10)
            starts[f"{field}.interval"] = (interval, hook.get("by_epoch", True))
    warnings = []
    for field, (start, unit) in starts.items():
        length = lengths[unit]
        if isinstance(start, int) and isinstance(length, int) and start > length:
            end = counted(length, "epoch" if unit else "iteration")
            warnings.append(
                f"{field}={start} exceeds the run's {end},"
                " so this evaluation never runs; set a smaller number"
            )
    return warnings

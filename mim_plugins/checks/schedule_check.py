"""Warnings about evaluations that a run is too short for."""

from mmengine.config import Config

from ..config import type_name


def unreached_evaluations(cfg: Config) -> list[str]:
    """Return a warning for each validation or k-NN evaluation that the run ends before."""
    loop = cfg.get("train_cfg") or {}
    lengths = {True: loop.get("max_epochs"), False: loop.get("max_iters")}
    by_epoch = lengths[True] is not None
    starts = {}
    if cfg.get("val_dataloader"):
        starts["train_cfg.val_begin"] = (loop.get("val_begin", 1), by_epoch)
    for index, hook in enumerate(cfg.get("custom_hooks") or []):
        if isinstance(hook, dict) and type_name(hook.get("type")) == "KNNHook":
            interval = hook.get("interval", 10)
            starts[f"custom_hooks.{index}.interval"] = (interval, hook.get("by_epoch", True))
    warnings = []
    for field, (start, unit) in starts.items():
        length = lengths[unit]
        if isinstance(start, int) and isinstance(length, int) and start > length:
            warnings.append(
                f"{field}={start} exceeds the run's {length} {'epochs' if unit else 'iterations'},"
                " so this evaluation never runs; set a smaller number"
            )
    return warnings

"""Checks that what follows a validation metric names one that validation returns."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import Evaluator

from ..config import hook_configs, type_name
from ..errors import ConfigError

_SEGMENTATION = (
    "aAcc", "mAcc", "mDice", "mFscore", "mIoU", "mPrecision", "mRecall",
)  # fmt: skip


def check_followed_metrics(cfg: Config, evaluator: Any) -> list[str]:
    """Check ``save_best``, early stopping and schedulers that follow a metric.

    They would fail, or do nothing, only at the first validation.

    Args:
        cfg: config of the run.
        evaluator: evaluator of validation, None if there is no validation. Evaluators other than
            MMEngine's may return metrics of any name.

    Returns:
        Warnings about settings without effect, because there is no validation.

    Raises:
        ConfigError: no metric has this name.
    """
    warnings = []
    for field, monitor in _followed(cfg):
        if evaluator is None:
            warnings.append(
                f"{field}={monitor!r} follows a metric of validation, but the run has none; set"
                " val_dataloader, val_evaluator and val_cfg, or leave it out"
            )
        elif type(evaluator) is Evaluator and monitor != "auto":
            problem = _unknown(monitor, evaluator.metrics)
            if problem is not None:
                raise ConfigError(f"{field}={monitor!r}: {problem}")
    return warnings


def _followed(cfg: Config) -> Iterator[tuple[str, str]]:
    """Yield config field and metric of each follower."""
    schedulers = cfg.get("param_scheduler")
    several = schedulers if isinstance(schedulers, (list, tuple)) else [schedulers]
    followers = hook_configs(cfg) | {
        f"param_scheduler.{index}": each for index, each in enumerate(several)
    }
    for field, hook in followers.items():
        if not isinstance(hook, dict):
            continue
        kind = type_name(hook.get("type"))
        best = hook.get("save_best")
        for monitor in best if isinstance(best, (list, tuple)) else [best]:
            if isinstance(monitor, str):
                yield f"{field}.save_best", monitor
        is_plateau = kind.startswith("ReduceOnPlateau")
        if kind == "EarlyStoppingHook" or is_plateau:
            yield f"{field}.monitor", hook.get("monitor", "loss" if is_plateau else "")


def _unknown(monitor: str, metrics: Sequence[Any]) -> str | None:
    """Return an error text if no metric can return ``monitor``."""
    names: list[str] = []
    complete = True
    for metric in metrics:
        known = _names(metric)
        prefix = getattr(metric, "prefix", None)
        if known is not None:
            names += [f"{prefix}/{name}" if prefix else name for name in known]
            continue
        complete = False
        if not prefix or monitor.startswith(f"{prefix}/"):
            return None
        names.append(f"{prefix}/...")
    if monitor in names:
        return None
    near = difflib.get_close_matches(monitor, names, n=1) if complete else []
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"validation returns {', '.join(names) or 'no metric'}{hint}"


def _names(metric: Any) -> list[str] | None:
    """Return the names that a metric returns, without prefix; None if they are unknown."""
    kind = type(metric).__name__  # a subclass may return others
    if kind == "IoUMetric":
        return list(_SEGMENTATION)
    if kind != "Accuracy" or not hasattr(metric, "topk"):
        return None
    thresholds = getattr(metric, "thrs", (0.0,))
    if len(thresholds) > 1:
        return None  # their names contain the thresholds
    return [f"top{k}" for k in metric.topk]

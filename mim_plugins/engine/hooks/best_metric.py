"""Metrics that determine the best checkpoint."""

from collections.abc import Mapping, Sequence

from mmengine.runner import Runner

from ..guards.guarded_metrics import failed_metrics


def lacks_metric(names: Sequence[str], metrics: Mapping, runner: Runner) -> bool:
    """Return whether validation lacks one of the metrics of ``save_best``, and log it."""
    if failed_metrics(runner, metrics, names):  # logged already
        return True
    lacking = [name for name in names if name != "auto" and name not in metrics]
    if lacking:
        runner.logger.error(
            f"save_best={lacking[0]!r}: validation returns {', '.join(metrics) or 'nothing'};"
            " no best checkpoint is saved"
        )
    return bool(lacking)

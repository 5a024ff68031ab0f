"""Pictures of the curves of training runs."""

import math

from matplotlib.figure import Figure

from ..analysis.training_log import THROUGHPUT, Curves, smooth

_COLUMNS = 3
_MEASURES = ("knn_", "probe_", "rankme")  # of KNNHook
_EXACT = ("lr", "base_lr")  # never smoothed


def chosen_keys(runs: dict[str, Curves], wanted: list[str] | None = None) -> list[str]:
    """Return the keys to draw, by default losses, accuracies, learning rate and throughput.

    Raises:
        ValueError: no run logged one of the ``wanted`` keys.
    """
    known = sorted({key for curves in runs.values() for key in curves})
    if wanted is None:
        usual = [k for k in known if "loss" in k or "accuracy" in k or k.startswith(_MEASURES)]
        return [*usual, *(key for key in ("lr", THROUGHPUT) if key in known)]
    missing = [key for key in wanted if key not in known]
    if missing:
        raise ValueError(f"--keys: no run logged {', '.join(missing)}; use {', '.join(known)}")
    return wanted


def draw(
    runs: dict[str, Curves], keys: list[str], weight: float = 0.0, log_scale: bool = False
) -> Figure:
    """Draw a chart per key with a curve per run."""
    columns = min(_COLUMNS, len(keys))
    rows = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.0 * rows), layout="constrained")
    charts = figure.subplots(rows, columns, squeeze=False).flatten()
    for chart, key in zip(charts, keys, strict=False):
        share = 0 if key in _EXACT else weight
        for index, (name, curves) in enumerate(runs.items()):
            if key not in curves:
                continue
            steps, values = zip(*sorted(curves[key].items()), strict=True)
            marker = "o" if len(steps) < 20 else None
            line = dict(color=f"C{index}", markersize=3, marker=marker)
            if share:
                chart.plot(steps, values, **(line | dict(alpha=0.25)))
            chart.plot(steps, smooth(list(values), share), label=name, **line)
        chart.set_title(key, fontsize=10)
        chart.set_xlabel("iteration", fontsize=8)
        chart.tick_params(labelsize=8)
        chart.grid(alpha=0.3)
        if log_scale:
            chart.set_yscale("log")
    for chart in charts[len(keys) :]:
        chart.set_axis_off()
    if len(runs) > 1:
        figure.axes[0].legend(fontsize=8)
    return figure

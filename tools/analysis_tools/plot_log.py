"""Plot the curves of one or several runs: losses, learning rate, throughput and accuracies.

Reads MMEngine's logs (vis_data/scalars.json) in the work folders and joins the parts of a resumed
run. Also prints the last value of every key.
"""

import argparse
import math
from pathlib import Path

from matplotlib.figure import Figure

from mim_plugins.analysis.training_log import THROUGHPUT, Curves, read_run, smooth
from mim_plugins.cli import user_errors

COLUMNS = 3
EXACT = ("lr", "base_lr")  # never smoothed


def main() -> None:
    args = parse_args()
    with user_errors(also=(OSError, ValueError)):
        runs = dict(zip(names(args.runs), map(read_run, args.runs), strict=True))
        keys = chosen_keys(runs, args.keys)
        figure = draw(runs, keys, args.smooth, args.log_scale)
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(args.out, dpi=100)
    print(last_values(runs))
    print(f"curves of {', '.join(keys)}: {args.out}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="work folders or JSON logs")
    parser.add_argument(
        "--keys",
        nargs="+",
        help=f"keys to draw; 'time' is seconds per iteration, '{THROUGHPUT}' its inverse (default:"
        f" losses, accuracies, lr and {THROUGHPUT})",
    )
    parser.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="WEIGHT",
        help="weight of earlier values in a moving average, 0 to below 1; raw values are faint",
    )
    parser.add_argument("--log-scale", action="store_true", help="logarithmic vertical axes")
    parser.add_argument("--out", default="curves.png", help="image file to write")
    return parser.parse_args()


def names(runs: list[str]) -> list[str]:
    """Return short unique names of the runs."""
    short = [Path(run).resolve().name for run in runs]
    return short if len(set(short)) == len(short) else runs


def chosen_keys(runs: dict[str, Curves], wanted: list[str] | None) -> list[str]:
    """Return the keys to draw, by default losses, accuracies, learning rate and throughput.

    Raises:
        ValueError: no run logged one of the ``wanted`` keys.
    """
    known = sorted({key for curves in runs.values() for key in curves})
    if wanted is None:
        usual = [k for k in known if "loss" in k or "accuracy" in k or k.startswith("knn_")]
        return [*usual, *(key for key in ("lr", THROUGHPUT) if key in known)]
    missing = [key for key in wanted if key not in known]
    if missing:
        raise ValueError(f"--keys: no run logged {', '.join(missing)}; use {', '.join(known)}")
    return wanted


def draw(runs: dict[str, Curves], keys: list[str], weight: float, log_scale: bool) -> Figure:
    """Draw a chart per key with a curve per run."""
    columns = min(COLUMNS, len(keys))
    rows = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(4.2 * columns, 3.0 * rows), layout="constrained")
    charts = figure.subplots(rows, columns, squeeze=False).flatten()
    for chart, key in zip(charts, keys, strict=False):
        share = 0 if key in EXACT else weight
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


def last_values(runs: dict[str, Curves]) -> str:
    """Format a table of the last value and iteration of every key."""
    keys = sorted({key for curves in runs.values() for key in curves})
    width = max(map(len, [*keys, "last value"])) + 2
    columns = {name: max(len(name), 12) + 2 for name in runs}
    lines = ["last value".ljust(width) + "".join(n.rjust(w) for n, w in columns.items())]
    last = {n: max(s for values in c.values() for s in values) for n, c in runs.items()}
    lines.append("iteration".ljust(width) + "".join(f"{last[n]:>{w}}" for n, w in columns.items()))
    for key in keys:
        cells = (
            f"{curves[key][max(curves[key])]:.5g}" if key in curves else "-"
            for curves in runs.values()
        )
        row = "".join(c.rjust(w) for c, w in zip(cells, columns.values(), strict=True))
        lines.append(key.ljust(width) + row)
    return "\n".join(lines)


if __name__ == "__main__":
    main()

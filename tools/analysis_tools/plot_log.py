"""Plot the curves of one or several runs: losses, learning rate, throughput and accuracies.

Reads MMEngine's logs (vis_data/scalars.json) in the work folders and joins the parts of a resumed
run. Also prints the last value of every key.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c

if TYPE_CHECKING:
    from mim_plugins.analysis.training_log import Curves


@one_line_on_ctrl_c()
def main() -> None:
    args = parse_args()
    from mim_plugins.analysis.training_log import read_run  # these import PyTorch
    from mim_plugins.cli import user_errors
    from mim_plugins.cli.curves import chosen_keys, draw

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
        help="keys to draw; 'time' is seconds per iteration, 'iterations/s' its inverse (default:"
        " losses, accuracies, lr and iterations/s)",
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
    return parser.parse_args(command_words())


def names(runs: list[str]) -> list[str]:
    """Return short unique names of the runs."""
    short = [Path(run).resolve().name for run in runs]
    return short if len(set(short)) == len(short) else runs


def last_values(runs: "dict[str, Curves]") -> str:
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

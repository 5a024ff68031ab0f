"""Compare this package with the numbers of a reference implementation on a tiny model.

GOLDEN.npz is one of two kinds, recognized from its content. Every file contains ``config`` (JSON
with the model's sizes) and ``param/<name>`` (weights under the authors' names).

One pass: ``input``, the masks, ``latent``, ``reconstruction``, ``loss``, ``grad_norm/<name>`` and,
optionally, ``finetune_features``.

Training run: ``images``, ``order``, the masks or ``targets`` of each step, ``lr`` and ``loss`` of
each step, and ``lr_scale/<name>``, ``weight_decay/<name>``, ``final_norm/<name>``,
``change_norm/<name>``. ``config`` also contains method and hyperparameters. The run is repeated
with the shipped recipe of the method.

Exit status 1: an error above the tolerance, or an unusable file.
"""

import argparse
import sys
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c
from mim_plugins.errors import CheckpointError

T = TypeVar("T")
# raised by entries whose types, shapes or sizes do not fit a model
_UNUSABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@one_line_on_ctrl_c()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("golden", help="reference file (.npz)")
    parser.add_argument(
        "--tolerance",
        type=float,
        help="largest relative error allowed; by default 1e-4 and, in training runs, 1e-5 for"
        " losses, 1e-6 for learning rates and float32 accuracy for scales and weight decay",
    )
    args = parser.parse_args(command_words())
    from mmengine.logging import MMLogger
    from parity import (  # these import PyTorch
        TOLERANCES,
        compare_with_reference,
        compare_with_trajectory,
        is_trajectory,
    )

    from mim_plugins.checkpoints import read_reference
    from mim_plugins.cli import user_errors

    MMLogger.get_current_instance().setLevel("WARNING")
    with user_errors():
        reference = read_reference(args.golden)
        if is_trajectory(reference):
            run = compare(args.golden, compare_with_trajectory, reference)
            errors, tolerances, ranges = run.errors, TOLERANCES, run.ranges
            print(f"configs/{run.recipe} with sizes and lengths of '{args.golden}'")
            if run.differences:
                print(f"set by the file (recipe): {', '.join(run.differences)}")
        else:
            errors = compare(args.golden, compare_with_reference, reference)
            tolerances, ranges = {}, set()
    sys.exit(0 if report(errors, tolerances, args.tolerance, ranges) else 1)


def compare(golden: str, function: Callable[[dict[str, Any]], T], reference: dict[str, Any]) -> T:
    """Return the comparison of a reference by ``function``.

    Raises:
        CheckpointError: the file is incomplete.
    """
    try:
        return function(reference)
    except CheckpointError:
        raise
    except _UNUSABLE as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"'{golden}' is no complete reference file: {reason}; see --help for its content"
        ) from error


def report(
    errors: dict[str, float],
    tolerances: dict[str, float],
    tolerance: float | None,
    ranges: Collection[str],
) -> bool:
    """Print the errors; return whether all are within ``tolerance``, or else ``tolerances``.

    Errors named in ``ranges`` are marked, because they are distances from a range of numbers.
    """
    groups: dict[tuple[str, float], list[float]] = {}
    print(f"{'relative error':>14}  quantity")
    for name, error in errors.items():
        kind = name.partition("/")[0]
        group = kind if kind in tolerances else "quantities"
        limit = tolerances.get(kind, 1e-4) if tolerance is None else tolerance
        groups.setdefault((group, limit), []).append(error)
        mark = " [range]" if name in ranges else ""
        print(f"{error:14.2e}  {name}{mark}{'' if error <= limit else '  <-- above the tolerance'}")
    if ranges:
        print(
            f"[range]: {len(ranges)} norms of qkv biases are compared with a range, because key"
            " biases have gradients of rounding noise and may move as far as their learning rates"
        )
    lines = [
        f"largest relative error {_largest(found):.2e} of {len(found)} {group},"
        f" tolerance {limit:.0e}"
        for (group, limit), found in groups.items()
    ]
    if len(lines) > 1:
        print("\n".join(lines))
        lines = [f"{len(errors)} quantities, each with the tolerance above"]
    passed = all(_largest(found) <= limit for (_, limit), found in groups.items())
    print(f"{'passed' if passed else 'FAILED'}: {lines[0]}")
    return passed


def _largest(errors: Collection[float]) -> float:
    """Return the largest error, NaN if there is one."""
    return max(errors, key=lambda error: (error != error, error))


if __name__ == "__main__":
    main()

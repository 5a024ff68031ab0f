"""Compare this package with the numbers of a reference implementation on a tiny model.

GOLDEN.npz contains ``config`` (JSON with the model's sizes), ``param/<name>`` (weights under the
authors' names), ``input``, the masks, ``latent``, ``reconstruction``, ``loss``,
``grad_norm/<name>`` and, optionally, ``finetune_features``. Exit status 1: an error above
the tolerance, or an unusable file.
"""

import argparse
import sys

from mim_plugins.analysis import compare_with_reference
from mim_plugins.checkpoints import read_reference
from mim_plugins.cli import user_errors
from mim_plugins.errors import CheckpointError


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("golden", help="reference file (.npz)")
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, help="largest relative error allowed"
    )
    args = parser.parse_args()
    with user_errors():
        errors = compare(args.golden)
    print(f"{'relative error':>14}  quantity")
    for name, error in errors.items():
        verdict = "" if error <= args.tolerance else "  <-- above the tolerance"
        print(f"{error:14.2e}  {name}{verdict}")
    worst = max(errors.values())
    passed = worst <= args.tolerance
    print(
        f"{'passed' if passed else 'FAILED'}: largest relative error {worst:.2e} of"
        f" {len(errors)} quantities, tolerance {args.tolerance:.0e}"
    )
    sys.exit(0 if passed else 1)


def compare(golden: str) -> dict[str, float]:
    """Return the relative error of each quantity.

    Raises:
        CheckpointError: the file cannot be read or is incomplete.
    """
    reference = read_reference(golden)
    try:
        return compare_with_reference(reference)
    except CheckpointError:
        raise
    # raised by entries whose types or shapes differ from the model's
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"'{golden}' is no complete reference file: {reason}; see --help for its content"
        ) from error


if __name__ == "__main__":
    main()

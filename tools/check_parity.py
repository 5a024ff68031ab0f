"""Compare this package with a reference implementation's numbers on a tiny model.

GOLDEN.npz holds ``config`` (JSON with the model's sizes), ``param/<name>`` (weights under the
authors' names), ``input``, the masks, ``latent``, ``reconstruction``, ``loss``,
``grad_norm/<name>`` and, optionally, ``finetune_features``. Exit status 1: above the tolerance.
"""

import argparse
import sys

from mim_plugins.checkpoints import compare_with_reference, read_reference


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("golden", help="reference file (.npz)")
    parser.add_argument(
        "--tolerance", type=float, default=1e-4, help="largest relative error that passes"
    )
    args = parser.parse_args()
    try:
        errors = compare_with_reference(read_reference(args.golden))
    except (OSError, KeyError, ValueError) as error:
        print(f"error: {args.golden}: {error}", file=sys.stderr)
        sys.exit(2)
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


if __name__ == "__main__":
    main()

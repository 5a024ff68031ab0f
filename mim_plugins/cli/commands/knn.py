"""Compute the weighted k-NN accuracy of a backbone's features, without any training.

CONFIG may be for pre-training: DATA_ROOT then contains train/CLASS/IMAGE and val/CLASS/IMAGE. A
classification config is evaluated on its own data sets, both without augmentation.
"""

import argparse

from ..config_options import add_config_options
from ..device_option import add_device_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", help="config file, or a name such as mixmae/swin_b_600e")
    parser.add_argument("checkpoint", nargs="?", help="checkpoint file of a run with this config")
    parser.add_argument("--random", action="store_true", help="evaluate random weights, seed 0")
    parser.add_argument("--data-root", help="folder or archive; overrides that of the config")
    parser.add_argument(
        "--k", type=int, nargs="+", default=[10, 20, 100, 200], metavar="K", help="neighbors"
    )
    parser.add_argument(
        "--temperature", type=float, default=0.07, help="temperature of the neighbors' weights"
    )
    parser.add_argument("--batch-size", type=int, default=128, help="images per batch")
    parser.add_argument("--workers", type=int, help="loading processes (default: by the cores)")
    parser.add_argument(
        "--max-references", type=int, help="use at most this many references, evenly spaced"
    )
    parser.add_argument(
        "--max-queries", type=int, help="classify at most this many images, evenly spaced"
    )
    add_device_option(parser)
    parser.add_argument(
        "--precision", default="float32", help="float32, bfloat16 or float16 (default: float32)"
    )
    add_config_options(parser)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    if (args.checkpoint is None) != args.random:
        parser.error("give either a checkpoint or --random")
    from ...evaluation import PRECISIONS
    from ..knn_table import print_knn_table

    if args.precision not in PRECISIONS:
        parser.error(f"--precision {args.precision} is not one of {', '.join(PRECISIONS)}")
    print_knn_table(args)

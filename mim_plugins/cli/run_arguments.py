"""Command-line arguments of trainings and evaluations."""

import argparse

from .config_options import add_config_options
from .sizes import parse_size

AUTOMATIC = "(default: automatic)"
OF_CONFIG = "(default: that of the config)"


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the common arguments of ``train.py`` and ``test.py``."""
    parser.add_argument("config", help="config file, or a name such as mixmae/swin_b_600e")
    parser.add_argument("--work-dir", help="folder for logs and checkpoints")
    parser.add_argument("--data-root", help="folder of the data, instead of the config's")
    add_config_options(parser)
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    add_traceback_option(parser)
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)


def add_own_run_arguments(parser: argparse.ArgumentParser, out: str) -> None:
    """Add the common arguments of runs with automatic settings; ``out`` is the default folder."""
    _add_lengths(parser, AUTOMATIC)
    parser.add_argument("--out", help=f"work folder (default: {out})")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier run in OUT")
    add_traceback_option(parser)


def _add_lengths(parser: argparse.ArgumentParser, default: str) -> None:
    for name, meaning in (
        ("--epochs", "passes over the images"),
        ("--batch-size", "images per iteration of a process"),
    ):
        parser.add_argument(name, type=int, help=f"{meaning} {default}")


def add_training_size(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--img-size``, which is (H, W) or None in the namespace."""
    parser.add_argument(
        "--img-size",
        type=parse_size,
        metavar="PIXELS",
        help=f"side of the training images, or height and width as 192x256 {default}",
    )


def add_traceback_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--traceback``."""
    parser.add_argument(
        "--traceback", action="store_true", help="show the full traceback of an error"
    )


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a training."""
    add_run_arguments(parser)
    _add_lengths(parser, OF_CONFIG)
    add_training_size(parser, OF_CONFIG)
    parser.add_argument(
        "--checkpoint",
        help="weights to start from: of the encoder where the config reads a pre-trained one, else"
        f" of the model {OF_CONFIG}",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="continue from the newest complete checkpoint of the work folder, or from this one",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="start over in a work folder with checkpoints, which are removed after the first"
        " iteration; ignored with --resume",
    )
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument("--no-validate", action="store_true", help="skip validation")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the ratio of this run's global batch to the recipe's",
    )
    parser.add_argument(
        "--keep-global-batch",
        action="store_true",
        help="accumulate gradients up to the global batch of the recipe",
    )

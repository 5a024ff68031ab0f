"""Write the features of images to a file.

The features are the mean over all positions of the encoder's last output. A .npz file contains the
arrays features (N, D) and paths (N); a .csv file has a line per image. Unreadable images are
reported and skipped. Exit code 0: all images were read. 1: an image was unreadable, or another
error occurred.
"""

import argparse
from pathlib import Path

from ..config_options import add_config_options
from ..device_option import add_device_option

_SUFFIXES = (".npz", ".csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", help="config file of the model, or its name")
    parser.add_argument("checkpoint", help="checkpoint file of a run with this config")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="files, folders or archives")
    parser.add_argument("--out", default="features.npz", help="file to write: .npz or .csv")
    parser.add_argument("--batch-size", type=int, default=32, help="images per batch (default: 32)")
    add_device_option(parser)
    add_config_options(parser)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    if args.batch_size < 1:
        parser.error(f"--batch-size {args.batch_size} must be at least 1")
    if Path(args.out).suffix not in _SUFFIXES:
        parser.error(f"--out '{args.out}' must end in one of {' '.join(_SUFFIXES)}")
    from ..feature_file import write_features

    write_features(args)

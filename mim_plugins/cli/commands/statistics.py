"""Measure mean and standard deviation of each channel of images, for a config.

Images are decoded one at a time. Values that are NaN, infinite or no data are left out. Exit code
0: all images were read. 1: an image was unreadable, or another error occurred.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", nargs="+", help="image files, folders, lists (.txt) or archives")
    parser.add_argument(
        "--channels",
        type=int,
        metavar="N",
        help="number of bands; without it, 8-bit RGB is measured, as the recipes read it",
    )
    parser.add_argument(
        "--nodata", type=float, help="number that stands for no data, besides those of the files"
    )
    parser.add_argument(
        "--max-images", type=int, help="measure at most this many images, evenly spaced"
    )


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    if args.max_images is not None and args.max_images < 1:
        parser.error(f"--max-images {args.max_images} must be at least 1")
    if args.nodata is not None and args.channels is None:
        parser.error("--nodata needs --channels, because 8-bit RGB has no missing values")
    from ..channel_report import print_channel_report

    print_channel_report(args)

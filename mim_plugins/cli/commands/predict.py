"""Predict the classes of images with a fine-tuned classifier.

Unreadable images are reported and skipped. Exit code 0: all images were read. 1: an image was
unreadable, or another error occurred.
"""

import argparse

from ..config_options import add_config_options
from ..device_option import add_device_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", help="classification config file, or its name")
    parser.add_argument("checkpoint", help="checkpoint file of a run with this config")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="files, folders or archives")
    parser.add_argument("--topk", type=int, default=5, help="classes to print")
    parser.add_argument("--batch-size", type=int, default=32)
    add_device_option(parser)
    add_config_options(parser)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    if args.topk < 1:
        parser.error(f"--topk {args.topk} must be at least 1")
    if args.batch_size < 1:
        parser.error(f"--batch-size {args.batch_size} must be at least 1")
    from ..predictions import print_predictions

    print_predictions(args)

"""Report parameters, tokens, cost and memory of a config's model before any training.

Computed from shapes alone, without data, weights or a GPU. For detectors and segmentors, cost and
memory are those of the backbone.
"""

import argparse

from ..config_options import add_config_options
from ..sizes import add_size_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", help="config file, or a name of list_models()")
    add_size_option(parser, "default: the backbone's img_size")
    add_config_options(parser)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    from ..model_report import print_model_report

    print_model_report(args)

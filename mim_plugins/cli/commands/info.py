"""Report parameters, tokens, cost and memory of a config's model, or describe an encoder's file.

Those of a config are computed from shapes alone, before any training, without data, weights or a
GPU. For detectors and segmentors, cost and memory are those of the backbone. For an exported
encoder (.safetensors), its arguments, preprocessing and source are printed.
"""

import argparse

from ..config_options import add_config_options
from ..sizes import add_size_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", help="config file, a name of list_models(), or encoder")
    add_size_option(parser, "default: the backbone's img_size")
    add_config_options(parser)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    if args.config.endswith(".safetensors"):
        from ..encoder_report import print_encoder_report

        print_encoder_report(args.config)
        return
    from ..model_report import print_model_report

    print_model_report(args)

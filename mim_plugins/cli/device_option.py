"""The option ``--device`` of the command-line tools."""

import argparse

import torch


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Let a tool accept ``--device``; the first GPU is the default where there is one."""
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--device", type=_usable_device, default=default, help=f"such as cuda:1 ({default})"
    )


def _usable_device(name: str) -> str:
    """``name``, if a tensor can be put there."""
    try:
        torch.empty(1, device=name)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(
            f"'{name}' cannot be used here ({reason}); leave it out or give cpu"
        ) from error
    return name

"""The option ``--device`` of the command-line tools."""

import argparse

import torch


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` to the parser of a tool; the default is the first GPU, if any."""
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--device", type=_usable_device, default=default, help=f"such as cuda:1 ({default})"
    )


def _usable_device(name: str) -> str:
    """Return ``name`` if a tensor can be created on that device."""
    try:
        torch.empty(1, device=name)
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(
            f"'{name}' is not available ({reason}); omit --device or use cpu"
        ) from error
    return name

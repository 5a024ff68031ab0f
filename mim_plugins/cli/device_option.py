"""The option ``--device`` of the command-line tools."""

import argparse

_AUTOMATIC = "auto"


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--device`` to the parser of a tool; the default is the first GPU, if any."""
    parser.add_argument(
        "--device",
        type=_usable_device,
        default=_AUTOMATIC,
        help="such as cpu or cuda:1 (default: the first GPU, else the CPU)",
    )


def _usable_device(name: str) -> str:
    """Return ``name`` if that device can keep a tensor."""
    import torch  # not at the top, because --help must not wait for it

    if name == _AUTOMATIC:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.ones(1, device=name).item()  # which the device meta cannot
    except (AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(
            f"'{name}' is not available ({reason}); omit --device or use cpu"
        ) from error
    return name

"""Sizes and bands of images on command lines."""

import argparse
import re
from collections.abc import Sequence
from typing import Any

_FORMS = "side, or height and width as 192x256"


def parse_size(text: str) -> tuple[int, int]:
    """Return (H, W) of ``'224'`` or ``'192x256'``, in pixels.

    Raises:
        argparse.ArgumentTypeError: the text has another form, or a side is 0.
    """
    found = re.fullmatch(r"(0*[1-9]\d*)(?:x(0*[1-9]\d*))?", text.strip().lower())
    if found is None:
        raise argparse.ArgumentTypeError(
            f"'{text}' must be a side such as 224, or height and width such as 192x256"
        )
    return int(found[1]), int(found[2] or found[1])


def format_size(size: tuple[int, int]) -> str:
    """Return a size (H, W) as :func:`parse_size` reads it."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def config_size(size: tuple[int, int]) -> int | list[int]:
    """Return a size (H, W) as configs contain it: one side if it is square."""
    return size[0] if size[0] == size[1] else list(size)


def parse_bands(text: str) -> tuple[int, ...]:
    """Return the numbers of ``'3,2,1'``.

    Raises:
        argparse.ArgumentTypeError: the text has another form.
    """
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise argparse.ArgumentTypeError(f"'{text}' must be numbers such as 3,2,1, from 0 on")
    return tuple(map(int, text.split(",")))


def add_size_option(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add ``--img-size``, which is (H, W) or None in the namespace, after positional arguments."""
    parser.add_argument(
        "--img-size", nargs="+", action=_StoreSize, metavar="PIXELS", help=f"{_FORMS} ({meaning})"
    )


class _StoreSize(argparse.Action):
    """Action that accepts height and width as two arguments as well."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        try:
            size = parse_size("x".join(values or ()))
        except argparse.ArgumentTypeError as error:
            parser.error(f"{option_string}: {error}")
        setattr(namespace, self.dest, size)

"""Sizes and bands of images on command lines."""

import argparse
import re


def parse_size(text: str) -> tuple[int, int]:
    """Return (H, W) of ``'224'`` or ``'192x256'``, in pixels.

    Raises:
        argparse.ArgumentTypeError: the text has another form.
    """
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip().lower())
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

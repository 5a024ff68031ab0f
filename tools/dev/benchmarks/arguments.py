"""Argument types of the benchmarks for argparse."""

from argparse import ArgumentTypeError


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"{number} must be at least 1")
    return number


def batch_size(text: str) -> int:
    """Parse an even number of images.

    mmpretrain would mix the middle image of an odd batch with itself.
    """
    number = int(text)
    if number < 2 or number % 2:
        raise ArgumentTypeError(f"{number} must be even, and at least 2")
    return number


def image_side(text: str) -> int:
    """Parse the side of an image: a multiple of 32 with at least two mask cells."""
    pixels = int(text)
    if pixels < 64 or pixels % 32:
        raise ArgumentTypeError(f"{pixels} must be a multiple of 32, and at least 64")
    return pixels

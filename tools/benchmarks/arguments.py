"""What the benchmarks' options accept: types for argparse."""

from argparse import ArgumentTypeError


def positive(text: str) -> int:
    """An integer of at least 1."""
    number = int(text)
    if number < 1:
        raise ArgumentTypeError(f"{number} must be at least 1")
    return number


def batch_size(text: str) -> int:
    """An even number of images: mmpretrain mixes the middle one of others with itself."""
    number = int(text)
    if number < 2 or number % 2:
        raise ArgumentTypeError(f"{number} must be even, and at least 2")
    return number


def image_side(text: str) -> int:
    """Pixels of whole mask cells, more than one of them."""
    pixels = int(text)
    if pixels < 64 or pixels % 32:
        raise ArgumentTypeError(f"{pixels} must be a multiple of 32, and at least 64")
    return pixels

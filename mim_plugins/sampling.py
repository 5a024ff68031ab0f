"""Deterministic choice of a few elements."""


def evenly_spaced(total: int, count: int) -> list[int]:
    """Return at most ``count`` evenly spaced indices below ``total``.

    Data sets are often sorted by class, so their first images would show a single class.
    """
    count = min(count, total)
    return [index * total // count for index in range(count)]

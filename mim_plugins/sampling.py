"""Choosing a few of many, the same ones every time."""


def evenly_spaced(total: int, count: int) -> list[int]:
    """``count`` of the indices below ``total``, or all if there are fewer, at equal distances.

    Files of a folder per class come class by class, so that the first ones show one class only.
    """
    count = min(count, total)
    return [index * total // count for index in range(count)]

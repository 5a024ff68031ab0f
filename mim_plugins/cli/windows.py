"""Windows of Swin encoders that fit an image size."""

_LARGEST = 16  # in tokens; the recipes have 14 at 224 pixels
_SMALLEST = 7


def best_window(rows: int, columns: int) -> int | str:
    """Return the window that needs the least padding of a grid, and the largest of several.

    Windows have 7 to 16 tokens per side. A small grid that needs padding is one window,
    ``'global'``.
    """
    shortest = min(rows, columns, _SMALLEST)
    longest = min(rows, columns, _LARGEST)

    def padded(window: int) -> int:
        return -(-rows // window) * -(-columns // window) * window**2

    best = min(range(longest, shortest - 1, -1), key=padded)
    is_small = max(rows, columns) <= _LARGEST
    return "global" if is_small and padded(best) > rows * columns else best

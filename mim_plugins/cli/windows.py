"""Windows of Swin encoders that fit an image size."""

_LARGEST = 16  # in tokens; the recipes have 14 at 224 pixels
_SMALLEST = 7
_OF_RECIPES = 14


def largest_window(grid: int) -> int:
    """Return the largest window that divides a grid, in tokens; a padded one if only tiny ones do.

    Windows have at most 16 tokens per side.
    """
    largest = max(n for n in range(1, _LARGEST + 1) if grid % n == 0)
    return largest if largest >= min(grid, _SMALLEST) else _OF_RECIPES

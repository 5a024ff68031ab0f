"""Image size of a run, with the patches, mask cells and windows that fit it."""

from typing import NamedTuple

from ...errors import ConfigError
from ..windows import largest_window
from .methods import FAMILIES, family_of

SMALLEST = 32


class ImageSize(NamedTuple):
    """Sizes that belong together."""

    side: int
    """Pixels per side of an image."""
    patch: int
    """Pixels per side of a token in the first stage."""
    cell: int
    """Pixels per side of a mask cell."""
    windows: tuple[int, ...]
    """Tokens per side of a window, per stage; empty for encoders without windows."""

    def describe(self) -> str:
        """Return the sizes in one line."""
        grid = self.side // self.cell
        text = f"{self.side} px, {grid * grid} mask cells of {self.cell} px"
        return text + (f", windows of {self.windows} tokens" if self.windows else "")


def fit_image_size(arch: str, side: int) -> ImageSize:
    """Return patches, cells and windows for images of ``side`` pixels.

    Patches are halved for small images, so at least 16 mask cells remain.

    Raises:
        ConfigError: the encoder does not support this size; the message contains the nearest ones.
    """
    sizes = _fit(arch, side)
    if sizes is not None:
        return sizes
    steps = range(4 * max(abs(side), SMALLEST))
    below = next((side - n for n in steps if _fit(arch, side - n)), None)
    above = next((side + n for n in steps if side + n > 0 and _fit(arch, side + n)), None)
    near = " or ".join(str(each) for each in (below, above) if each)
    raise ConfigError(f"img_size {side} fits no grid of {arch}: use {near}")


def automatic_image_size(arch: str, target: int, short_side: int) -> ImageSize:
    """Return the largest size up to ``target`` that does not enlarge images.

    Raises:
        ConfigError: images are smaller than any size.
    """
    for side in range(min(target, short_side), SMALLEST - 1, -1):
        sizes = _fit(arch, side)
        if sizes is not None:
            return sizes
    smallest = next(side for side in range(SMALLEST, target + 1) if _fit(arch, side))
    raise ConfigError(
        f"data: the images are too small for {arch}: their short side is {short_side} px (median),"
        f" and at least {smallest} px are needed; --img-size {smallest} enlarges them"
    )


def _fit(arch: str, side: int) -> ImageSize | None:
    family = FAMILIES[family_of(arch)]
    patch = next((patch for smallest, patch in family.patches if side >= smallest), None)
    if patch is None or side % (patch * family.cells_per_patch):
        return None
    windows: tuple[int, ...] = ()
    if family_of(arch) == "swin":
        windows = tuple(largest_window(side // (patch * 2**stage)) for stage in range(4))
    return ImageSize(side, patch, patch * family.cells_per_patch, windows)

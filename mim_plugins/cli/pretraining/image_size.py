"""Image size of a run, with the patches, mask cells and windows that fit it."""

from collections.abc import Sequence
from typing import NamedTuple

from ...errors import ConfigError
from ..sizes import format_size
from ..windows import best_window
from .methods import FAMILIES, family_of

SMALLEST, LARGEST = 32, 8192
_FEW = 0.2  # share of an image, the smallest area of a random crop


class ImageSize(NamedTuple):
    """Sizes that belong together."""

    shape: tuple[int, int]
    """Height and width of an image in pixels."""
    patch: int
    """Pixels per side of a token in the first stage."""
    cell: int
    """Pixels per side of a mask cell."""
    windows: tuple[int | str, ...]
    """Tokens per side of a window, per stage; empty for encoders without windows."""

    def shape_note(self, aspect_ratio: float) -> str:
        """Return a note on images of another shape, of which crops contain little, or ``""``.

        Args:
            aspect_ratio: width / height of the images.
        """
        height, width = self.shape
        relative = aspect_ratio * height / width
        share = min(relative, 1 / relative)
        if share >= _FEW:
            return ""
        shorter = min(self.shape)
        longer = round(shorter * max(aspect_ratio, 1 / aspect_ratio) / self.cell) * self.cell
        longer = min(longer, LARGEST // self.cell * self.cell)
        fitting = (shorter, longer) if aspect_ratio > 1 else (longer, shorter)
        return (
            f"images have {aspect_ratio:.2g} times as many columns as rows (median), so a crop of"
            f" the shape {height}x{width} contains at most {share:.0%} of an image;"
            f" --img-size {format_size(fitting)} has their shape"
        )

    def describe(self) -> str:
        """Return the sizes in one line."""
        height, width = self.shape
        cells = (height // self.cell) * (width // self.cell)
        text = f"{format_size(self.shape)} px, {cells} mask cells of {self.cell} px"
        return text + (
            f", windows of ({', '.join(map(str, self.windows))}) tokens" if self.windows else ""
        )


def fit_image_size(arch: str, size: int | Sequence[int]) -> ImageSize:
    """Return patches, cells and windows for images of a side or (H, W) in pixels.

    Patches are halved for small images, so at least 16 mask cells remain. The shorter side decides.

    Raises:
        ConfigError: the encoder does not support this size; the message contains the nearest ones.
    """
    shape = (size, size) if isinstance(size, int) else tuple(size)
    if len(shape) != 2 or not all(isinstance(side, int) for side in shape):
        raise ConfigError(f"img_size {size} must be one side, or height and width")
    height, width = shape
    if max(shape) > LARGEST:
        raise ConfigError(
            f"img_size {format_size((height, width))} exceeds {LARGEST} pixels per side"
        )
    sizes = _fit(arch, height, width)
    if sizes is not None:
        return sizes
    name = f"img_size {format_size((height, width))} fits no grid of {arch}"
    if height == width:
        near = " or ".join(str(each) for each in _nearest(arch, height))
        raise ConfigError(f"{name}: use {near}")
    shorter = _nearest(arch, min(shape))[-1]
    fitted = _fit(arch, shorter, shorter)
    assert fitted is not None
    sides = [max(round(side / fitted.cell), shorter // fitted.cell) * fitted.cell for side in shape]
    raise ConfigError(f"{name}: use {format_size((sides[0], sides[1]))}")


def _nearest(arch: str, side: int) -> list[int]:
    """Return the nearest sides below and above that fit, at least one."""
    steps = range(4 * max(abs(side), SMALLEST))
    below = next((side - n for n in steps if _fit(arch, side - n, side - n)), None)
    above = next((side + n for n in steps if _fit(arch, side + n, side + n)), None)
    return [each for each in (below, above) if each]


def automatic_image_size(arch: str, target: int, short_side: int) -> ImageSize:
    """Return the largest size up to ``target`` that does not enlarge images.

    Raises:
        ConfigError: images are smaller than any size.
    """
    for side in range(min(target, short_side), SMALLEST - 1, -1):
        sizes = _fit(arch, side, side)
        if sizes is not None:
            return sizes
    smallest = next(side for side in range(SMALLEST, target + 1) if _fit(arch, side, side))
    raise ConfigError(
        f"data: the images are too small for {arch}: their short side is {short_side} px (median),"
        f" and at least {smallest} px are needed; --img-size {smallest} enlarges them"
    )


def _fit(arch: str, height: int, width: int) -> ImageSize | None:
    family, short = FAMILIES[family_of(arch)], min(height, width)
    patch = next((patch for smallest, patch in family.patches if short >= smallest), None)
    if patch is None or any(side % (patch * family.cells_per_patch) for side in (height, width)):
        return None
    windows: tuple[int | str, ...] = ()
    if family_of(arch) == "swin":
        strides = [patch * 2**stage for stage in range(4)]
        windows = tuple(best_window(height // stride, width // stride) for stride in strides)
    return ImageSize((height, width), patch, patch * family.cells_per_patch, windows)

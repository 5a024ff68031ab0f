"""Grid of images with titles."""

from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Font: TypeAlias = ImageFont.ImageFont | ImageFont.FreeTypeFont

_GAP = 6
_LINE = 16
_FONT_SIZE = 13
_SHORTEST_SIDE = 112  # pixels to which smaller images are magnified at least


def draw_grid(panels: dict[str, Tensor], caption: str = "") -> np.ndarray:
    """Draw one column per panel and one row per image, with titles above and a caption below.

    Small images are magnified by an integer factor, without smoothing.

    Args:
        panels: RGB bytes (B, 3, H, W) by title, all of one shape.
        caption: text below the images; long lines are broken.

    Returns:
        RGB bytes (H', W', 3).

    Raises:
        ValueError: there are no panels, or their shapes differ.
    """
    shapes = {tuple(images.shape) for images in panels.values()}
    if len(shapes) != 1:
        raise ValueError(f"draw_grid: panels must be of one shape (B, 3, H, W), got {shapes}")
    rows, _, height, width = shapes.pop()
    scale = -(-_SHORTEST_SIDE // min(height, width))
    height, width = height * scale, width * scale
    font = ImageFont.load_default(_FONT_SIZE)
    titles = [break_lines(title, width, font) for title in panels]
    top = _GAP + _LINE * max(map(len, titles))
    total = _GAP + (width + _GAP) * len(panels)
    lines = break_lines(caption, total - 2 * _GAP, font)
    bottom = top + (height + _GAP) * rows
    size = (total, bottom + _LINE * len(lines) + (_GAP if lines else 0))
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    for column, (title, images) in enumerate(zip(titles, panels.values(), strict=True)):
        left = _GAP + (width + _GAP) * column
        _write(pen, title, left, top - _LINE * len(title) - 2, font)
        for row, image in enumerate(images.cpu()):
            pixels = Image.fromarray(image.permute(1, 2, 0).numpy())
            cell = pixels.resize((width, height), Image.Resampling.NEAREST)
            picture.paste(cell, (left, top + (height + _GAP) * row))
    _write(pen, lines, _GAP, bottom, font)
    return np.asarray(picture)


def break_lines(text: str, width: int, font: Font) -> list[str]:
    """Break ``text`` at spaces into lines of at most ``width`` pixels; words are not split."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _write(pen: ImageDraw.ImageDraw, lines: list[str], left: int, top: int, font: Font) -> None:
    for index, line in enumerate(lines):
        pen.text((left, top + _LINE * index), line, fill="black", font=font)

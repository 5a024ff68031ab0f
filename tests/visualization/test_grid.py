import numpy as np
import pytest
import torch
from PIL import ImageFont

from mim_plugins.visualization import draw_grid
from mim_plugins.visualization.grid import break_lines

RED, BLUE = (255, 0, 0), (0, 0, 255)


def plain(color, rows=2, side=8):
    pixels = torch.tensor(color, dtype=torch.uint8)[None, :, None, None]
    return pixels.expand(rows, 3, side, side)


def count(picture, color):
    return int((picture == np.array(color)).all(axis=-1).sum())


def test_every_image_is_magnified_by_a_whole_number_and_kept():
    picture = draw_grid({"a": plain(RED), "b": plain(BLUE, rows=2)})
    assert picture.dtype == np.uint8
    assert count(picture, RED) == count(picture, BLUE) == 2 * (8 * 14) ** 2
    columns = np.flatnonzero((picture == np.array(RED)).all(axis=-1).any(axis=0))
    assert columns.max() < np.flatnonzero((picture == np.array(BLUE)).all(axis=-1).any(axis=0))[0]


def test_large_images_keep_their_pixels():
    noise = torch.randint(256, (1, 3, 120, 130), dtype=torch.uint8)
    picture = draw_grid({"noise": noise})
    top = picture.shape[0] - 120 - 6
    assert np.array_equal(picture[top : top + 120, 6:136], noise[0].permute(1, 2, 0).numpy())


def test_a_caption_adds_lines_below():
    bare = draw_grid({"a": plain(RED)})
    captioned = draw_grid({"a": plain(RED)}, "some words that need more than one line here")
    assert np.array_equal(captioned[: len(bare) - 6], bare[:-6])
    assert len(captioned) >= len(bare) + 2 * 16
    assert (captioned[len(bare) :] < 128).any()


def test_lines_are_broken_at_spaces():
    font = ImageFont.load_default(13)
    lines = break_lines("one two three four five", 60, font)
    assert " ".join(lines) == "one two three four five"
    assert len(lines) > 1
    assert all(font.getlength(line) <= 60 for line in lines)
    assert break_lines("", 60, font) == []


@pytest.mark.parametrize("panels", [{}, {"a": plain(RED), "b": plain(RED, side=9)}])
def test_panels_of_different_shapes_are_refused(panels):
    with pytest.raises(ValueError, match="one shape"):
        draw_grid(panels)

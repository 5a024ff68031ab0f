"""Open files that are given more than once, and values that are no images."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mim_plugins.apis.pixels import each_image


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_an_open_file_may_be_given_twice(tmp_path, kind):
    Image.new("RGB", (3, 2), (1, 2, 3)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    with io.BytesIO(content) if kind == "memory" else open(tmp_path / "a.png", "rb") as file:
        shapes = [pixels.shape for _, pixels in each_image([file, file])]
        assert file.tell() == 0
    assert shapes == [(2, 3, 3)] * 2


@pytest.mark.parametrize(
    "value", [np.array(3), np.zeros(3), torch.tensor(3), torch.zeros(3), np.array(None)]
)
def test_numbers_without_rows_are_refused_by_their_shape(value):
    with pytest.raises(ValueError, match=r"shape \(.*\) is not that of an image"):
        list(each_image(value))

import numpy as np
import pytest
from image_files import encode, good_files
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """Write a file of each kind, and larger and smaller JPEG files."""
    for name, data in good_files().items():
        (tmp_path / name).write_bytes(data)
    generator = np.random.default_rng(0)
    for height, width in [(20, 90), (90, 20), (16, 16), (300, 400), (1, 1)]:
        small = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        (tmp_path / f"{height}x{width}.jpg").write_bytes(encode(image, "JPEG"))
    return sorted(tmp_path.iterdir())

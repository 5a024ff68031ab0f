"""Readable images among files and folders."""

import pytest
from PIL import Image

from mim_plugins.cli.readable_images import readable_images
from mim_plugins.errors import DataNotFoundError


def test_corrupt_images_in_folders_are_skipped_and_reported(tmp_path):
    good, bad = tmp_path / "images/sub/good.png", tmp_path / "images/bad.png"
    good.parent.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(good)
    bad.write_bytes(b"x")
    (tmp_path / "images/.hidden.png").write_bytes(b"x")

    readable, corrupt = readable_images([str(tmp_path / "images"), str(good)])

    assert readable == [str(good), str(good)]
    (message,) = corrupt
    assert "bad.png': not an image" in message
    with pytest.raises(DataNotFoundError, match=r"bad\.png': not an image"):
        readable_images([str(bad)])


def test_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(DataNotFoundError, match="no images in"):
        readable_images([str(tmp_path)])

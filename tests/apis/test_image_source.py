"""Images of any kind by index."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mim_plugins.apis.image_source import ImageSource
from mim_plugins.errors import DataNotFoundError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


def names(images):
    source = ImageSource(images)
    return [source.name(index) for index in range(len(source))]


def test_folders_lists_and_files_become_paths(folder):
    (folder / "list.txt").write_text("b.png\na/c.png\n")
    paths = [str(folder / "a/c.png"), str(folder / "b.png")]
    assert names(folder) == paths
    assert names(str(folder / "list.txt")) == paths[::-1]
    assert names([folder / "b.png", str(folder)]) == [paths[1], *paths]
    assert names("missing.png") == ["missing.png"]


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 4, 5, 3), np.uint8),
        torch.zeros(2, 3, 4, 5),
        [np.zeros((4, 5), np.uint8), Image.new("L", (5, 4))],
        (io.BytesIO(), b""),
        iter([b"", b""]),
    ],
)
def test_images_in_memory_have_their_position_as_name(images):
    assert names(images) == ["images[0]", "images[1]"]


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5, 3)), torch.zeros(4, 5), b"content", Image.new("L", (5, 4))]
)
def test_one_image_is_a_sequence_of_one(image):
    source = ImageSource(image)
    assert len(source) == 1
    assert source[0] is image


class Archive:
    names = ("x/a.png", "b\n.png")

    def read(self, index):
        return b"content %d" % index


def test_names_and_contents_of_an_archive_are_used():
    source = ImageSource(Archive())
    assert names(Archive()) == ["x/a.png", "b\\n.png"]
    assert source[1] == b"content 1"


@pytest.mark.parametrize("images", [[], (), np.zeros((0, 4, 5, 3)), iter(())])
def test_no_image_is_an_error(images):
    with pytest.raises(ValueError, match="give at least one image"):
        ImageSource(images)


def test_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DataNotFoundError, match="no images in"):
        ImageSource([tmp_path, np.zeros((4, 4, 3), np.uint8)])

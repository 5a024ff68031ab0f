import pytest
from image_folders import write_images
from tiny_run import IMAGES

from mim_plugins.datasets import UnlabeledImageFolder


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", IMAGES)
    return tmp_path


@pytest.fixture
def read(monkeypatch):
    """Return a list that gets the index of every image read in this process."""
    indices, original = [], UnlabeledImageFolder.__getitem__

    def note(self, index):
        indices.append(int(index))
        return original(self, index)

    monkeypatch.setattr(UnlabeledImageFolder, "__getitem__", note)
    return indices

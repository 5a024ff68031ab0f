import logging

import pytest
from archive_files import class_files, image_bytes, write_archive

from mim_plugins.datasets import image_files
from mim_plugins.datasets.image_places import images_at
from mim_plugins.errors import DataNotFoundError


def test_images_of_every_kind_of_place_are_found(tmp_path):
    files = class_files()
    archive = str(write_archive(tmp_path / "x/a.zip", files, "zip"))
    (tmp_path / "1.png").write_bytes(image_bytes())
    (tmp_path / "list.txt").write_text("1.png 3\nx/a.zip::b/1.png\n")
    members = [f"{archive}::{name}" for name in files]
    assert images_at(archive) == members
    assert images_at(str(tmp_path / "x")) == members
    assert images_at(str(tmp_path / "list.txt")) == [f"{tmp_path}/1.png", members[-1]]
    with pytest.raises(DataNotFoundError, match=r"has 1 image such as .*, and 1 archive such as"):
        images_at(str(tmp_path))
    for image in ("none.jpg", "hf://user/name#train::3", "https://host/a.jpg"):
        assert images_at(image) == [image]


@pytest.mark.parametrize("images", [11, 0])
def test_archives_beside_many_images_are_reported(tmp_path, monkeypatch, images):
    logged = []
    monkeypatch.setattr(image_files, "print_log", lambda *given: logged.append(given))
    write_archive(tmp_path / "train-0.tar", class_files(), "tar")
    for number in range(images):
        (tmp_path / f"{number}.png").write_bytes(b"")
    assert len(images_at(str(tmp_path))) == (images or 4)
    assert len(logged) == bool(images)
    for text, _, level in logged:
        assert "1 archives, because" in text
        assert level == logging.WARNING


def test_empty_folders_and_lists_are_errors(tmp_path):
    (tmp_path / "list.txt").touch()
    for place in (tmp_path, tmp_path / "list.txt"):
        with pytest.raises(DataNotFoundError, match="no images in"):
            images_at(str(place))

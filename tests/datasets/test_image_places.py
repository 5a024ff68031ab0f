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
    assert images_at(str(tmp_path)) == [f"{tmp_path}/1.png"]
    for image in ("none.jpg", "hf://user/name#train::3", "https://host/a.jpg"):
        assert images_at(image) == [image]


@pytest.mark.parametrize(("image", "warnings"), [("preview.png", 1), (None, 0)])
def test_archives_beside_images_are_reported(tmp_path, monkeypatch, image, warnings):
    logged = []
    monkeypatch.setattr(image_files, "print_log", lambda *given: logged.append(given))
    write_archive(tmp_path / "train-0.tar", class_files(), "tar")
    if image:
        (tmp_path / image).write_bytes(image_bytes())
    assert len(images_at(str(tmp_path))) == (1 if image else 4)
    assert len(logged) == warnings
    for text, _, level in logged:
        assert "1 archives, because" in text
        assert level == logging.WARNING


def test_empty_folders_and_lists_are_errors(tmp_path):
    (tmp_path / "list.txt").touch()
    for place in (tmp_path, tmp_path / "list.txt"):
        with pytest.raises(DataNotFoundError, match="no images in"):
            images_at(str(place))

from archive_files import class_files, image_bytes, write_archive

from mim_plugins.datasets.image_places import images_at


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
    assert images_at("none.jpg") == ["none.jpg"]

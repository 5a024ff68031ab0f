import pytest
from image_folders import touch

from mim_plugins.datasets import image_files
from mim_plugins.datasets.image_files import scan_images
from mim_plugins.datasets.images_by_class import BESIDE, images_by_class
from mim_plugins.errors import DataNotFoundError


def test_classes_are_the_sub_folders_in_order_also_empty_ones(root):
    touch(root, "top.jpg", "c/notes.txt", ".hidden/3.jpg")
    (root / "0").symlink_to("..")

    classes, scan = images_by_class(root)

    assert classes == {"a": ["0.jpg", "deep/1.PNG"], "b": ["2.jpeg"], "c": []}
    assert list(classes) == ["a", "b", "c"]
    assert image_files.CYCLES in scan.left_out
    assert scan.left_out[BESIDE] == [str(root / "top.jpg")]


@pytest.mark.parametrize("end", ["", "/"])
def test_flat_images_are_not_beside_classes(root, end):
    touch(root / "deep", "0.jpg", "1.jpg")
    (root / "deep/empty").mkdir()
    classes, scan = images_by_class(f"{root}/deep{end}")
    assert (classes, len(scan.paths), scan.left_out) == ({"empty": []}, 2, {})


def test_class_folders_may_be_links_to_a_store(root, tmp_path):
    touch(tmp_path / "store", "cat/3.jpg", "dog/4.jpg")
    for name in ("cat", "dog"):
        (root / name).symlink_to(tmp_path / "store" / name)

    classes, _ = images_by_class(root)

    assert {name: classes[name] for name in ("cat", "dog")} == dict(cat=["3.jpg"], dog=["4.jpg"])


CROSSING = dict(
    twice=dict(cat="../disk/cat", tabby="../disk/cat"),
    parent_first=dict(all="../disk", dog="../disk/dog"),
    parent_last=dict(dog="../disk/dog", zoo="../disk"),
    into_a_sibling=dict(zz="a/deep"),
    into_a_real_store=dict(c="b"),
    inside_a_class={"b/more": "../a"},
)


@pytest.mark.parametrize("links", CROSSING)
def test_no_folder_belongs_to_two_classes(root, tmp_path, links):
    touch(tmp_path / "disk", "cat/3.jpg", "dog/4.jpg")
    for name, target in CROSSING[links].items():
        (root / name).symlink_to(target)
    with pytest.raises(ValueError, match=r"'.*' and '.*' are the same folder.*two classes of"):
        images_by_class(root)
    scan_images(root)  # without labels, each is read once


def test_a_class_may_have_links_into_itself(root, tmp_path):
    touch(tmp_path / "disk", "3.jpg")
    for name in ("first", "second"):
        (root / "b" / name).symlink_to(tmp_path / "disk")
    (root / "a/again").symlink_to("deep")
    classes, _ = images_by_class(root)
    assert classes == dict(a=["0.jpg", "deep/1.PNG"], b=["2.jpeg", "first/3.jpg"])


@pytest.mark.parametrize("target", ["gone", "../gone/x", "lost"])
@pytest.mark.parametrize("end", ["", "/"])
def test_a_class_folder_that_is_a_broken_link_is_an_error(root, target, end):
    (root / "lost").symlink_to(target)
    with pytest.raises(DataNotFoundError, match=r"lost' is a broken link.*labels of all later"):
        images_by_class(f"{root}{end}")


def test_other_broken_links_are_no_class(root):
    for name in (".store", "0.jpg", "a/note", "b/sub"):
        (root / name).symlink_to("gone")
    assert list(images_by_class(root)[0]) == ["a", "b"]

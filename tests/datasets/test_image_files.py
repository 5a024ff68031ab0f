import os
import socket

import pytest
from image_folders import touch

from mim_plugins.datasets import image_files
from mim_plugins.datasets.image_files import find_images, is_hidden, scan_images
from mim_plugins.errors import DataNotFoundError


def relative(paths, root):
    return [os.path.relpath(path, root) for path in paths]


IMAGES = ["a/0.jpg", "a/deep/1.PNG", "b/2.jpeg"]


@pytest.mark.parametrize(
    "links",
    [
        {"a/up": ".."},
        {"a/up": "..", "again": "."},
        {"a/deep/top": "../..", "b/top": "..", "here": ".", "b/self": "."},
        {"a/above": "../.."},
        {"above": "/"},
        {"loop": "loop"},
        {"one": "two", "two": "one"},
    ],
    ids=lambda links: ",".join(links),
)
def test_links_that_lead_back_up_list_nothing_again(root, links):
    for name, target in links.items():
        (root / name).symlink_to(target)

    scan = scan_images(root)

    assert relative(scan.paths, root) == IMAGES
    assert sum(map(len, scan.left_out.values())) == len(links)
    assert scan.sub_folders == ["a", "b"]


def test_a_cycle_outside_of_the_folder_ends(root, tmp_path):
    touch(tmp_path / "other", "x/3.jpg", "y/4.jpg")
    (root / "other").symlink_to(tmp_path / "other/x")
    (tmp_path / "other/x/sibling").symlink_to("../y")
    (tmp_path / "other/y/back").symlink_to("..")
    (tmp_path / "other/y/home").symlink_to(root)

    found = relative(find_images(root), root)

    assert found == [*IMAGES, "other/3.jpg", "other/sibling/4.jpg"]


def test_a_linked_folder_is_read_once_by_the_first_link(root, tmp_path):
    touch(tmp_path / "other", "3.jpg")
    for name in ("z", "m"):
        (root / name).symlink_to(tmp_path / "other")

    scan = scan_images(root)

    assert relative(scan.paths, root) == [*IMAGES, "m/3.jpg"]
    assert scan.left_out == {image_files.REPEATED: [str(root / "z")]}


def test_a_folder_in_the_tree_keeps_its_own_path(root):
    (root / "Alias").symlink_to("b")

    assert relative(find_images(root), root) == IMAGES


def test_links_to_files_are_images_each(root):
    (root / "b/same.jpg").symlink_to("2.jpeg")

    assert relative(find_images(root), root) == [*IMAGES, "b/same.jpg"]


@pytest.mark.parametrize("link", [False, True])
def test_what_is_no_regular_file_is_never_opened(root, tmp_path, monkeypatch, link):
    place = tmp_path / "special" if link else root / "a"
    place.mkdir(exist_ok=True)
    os.mkfifo(place / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(place)  # the path of a socket must be short
        server.bind("socket.jpg")
    names = ["pipe.jpg", "socket.jpg"]
    if link:
        for name in names:
            (root / "a" / name).symlink_to(place / name)
    (root / "a/zero.jpg").symlink_to("/dev/zero")

    scan = scan_images(root)

    assert relative(scan.paths, root) == IMAGES
    special = scan.left_out[image_files.SPECIAL]
    assert relative(special, root) == ["a/pipe.jpg", "a/socket.jpg", "a/zero.jpg"]


def test_a_folder_with_an_images_name_is_a_folder(root):
    touch(root, "c.jpg/3.jpg")

    assert relative(find_images(root), root) == [*IMAGES, "c.jpg/3.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        ".ipynb_checkpoints/0-checkpoint.jpg",
        "a/.ipynb_checkpoints/0-checkpoint.jpg",
        "__MACOSX/a/._0.jpg",
        "a/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg",
        ".thumbnails/0.png",
        ".AppleDouble/0.jpg",
        "#recycle/0.jpg",
        "$RECYCLE.BIN/$I0.jpg",
        "System Volume Information/0.jpg",
        "lost+found/0.jpg",
        ".Trash-1000/files/0.jpg",
        ".git/0.jpg",
        "~snapshot/0.jpg",
        "RECYCLER/0.jpg",
        "found.000/0.jpg",
        "@SynoResource/0.jpg",
        "@sharebin/0.jpg",
        "@Snapshots/0.jpg",
        "_thumbs/0.jpg",
    ],
)
def test_hidden_folders_are_left_out_and_counted(root, name):
    touch(root, name)

    scan = scan_images(root)

    assert relative(scan.paths, root) == IMAGES
    assert scan.sub_folders == ["a", "b"]
    ((kind, (path,)),) = scan.left_out.items()
    assert kind == image_files.HIDDEN_FOLDERS
    assert is_hidden(os.path.basename(path))


@pytest.mark.parametrize("name", ["._0.jpg", "a/.0.png", "b/.nfs000.jpg"])
def test_hidden_image_files_are_left_out_and_counted(root, name):
    touch(root, name, ".DS_Store", "Thumbs.db")

    scan = scan_images(root)

    assert relative(scan.paths, root) == IMAGES
    assert scan.left_out == {image_files.HIDDEN_FILES: [str(root / name)]}


@pytest.mark.parametrize("name", ["#sunset", "_private", "@home", "recycled", "a.b", "found.1"])
def test_names_that_only_look_odd_are_read(root, name):
    touch(root, f"{name}/3.jpg")

    assert name in scan_images(root).sub_folders
    assert not scan_images(root).left_out


def test_a_root_may_be_hidden_itself(tmp_path):
    touch(tmp_path / ".cache/lost+found", "0.jpg")

    assert len(find_images(tmp_path / ".cache/lost+found")) == 1


def test_broken_links_are_left_out_under_any_name(root):
    (root / "gone.jpg").symlink_to("nowhere.jpg")
    (root / "class").symlink_to("/no/such/folder")

    scan = scan_images(root)

    assert relative(scan.paths, root) == IMAGES
    assert relative(scan.left_out[image_files.BROKEN], root) == ["class", "gone.jpg"]


def test_unreadable_folders_are_left_out_and_named(root, monkeypatch):
    forbid(monkeypatch, root / "a/deep")

    scan = scan_images(root)

    assert relative(scan.paths, root) == ["a/0.jpg", "b/2.jpeg"]
    assert scan.describe_left_out() == f"1 unreadable folders (such as '{root}/a/deep')"


def test_an_unreadable_root_is_an_error(root, monkeypatch):
    forbid(monkeypatch, root)

    with pytest.raises(DataNotFoundError, match=rf"'{root}' cannot be read \(Permission denied\)"):
        scan_images(root)


def forbid(monkeypatch, folder):
    """Make a folder unreadable, also for root."""
    scandir = os.scandir

    def refuse(path):
        if str(path) == str(folder):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


@pytest.mark.parametrize("name", [b"not \xff UTF-8.jpg", b"line\nbreak.jpg", b"\xe2\x80\xa8.jpg"])
def test_any_name_is_found_and_described(root, name):
    touch(os.fsencode(root), b"c\xff\n/" + name, b".hidden \xff\n/" + name)

    scan = scan_images(root)

    assert os.path.isfile(scan.paths[-1])
    assert os.fsencode(scan.paths[-1]).endswith(b"c\xff\n/" + name)
    text = scan.describe_left_out()
    assert text.encode().decode() == text
    assert r".hidden \xff\n" in text


def test_other_suffixes_can_be_asked_for(root):
    touch(root, "a/x.npy")

    assert relative(scan_images(root, [".npy"]).paths, root) == ["a/x.npy"]


def test_a_very_deep_tree_is_read(tmp_path):
    touch(tmp_path, "/".join(["d"] * 500) + "/0.jpg")

    assert len(find_images(tmp_path)) == 1


def test_links_that_cannot_be_resolved_are_unreadable(root, tmp_path, monkeypatch):
    touch(tmp_path / "disk", "3.jpg")
    (root / "b/link").symlink_to(tmp_path / "disk")
    resolve = os.path.realpath

    def refuse(path, **options):
        if str(path).endswith("link"):
            raise PermissionError(13, "Permission denied", path)
        return resolve(path, **options)

    monkeypatch.setattr(os.path, "realpath", refuse)
    assert scan_images(root).left_out == {image_files.UNREADABLE: [str(root / "b/link")]}

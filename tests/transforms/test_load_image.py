import os
import socket
from http.client import IncompleteRead
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from image_files import corrupt_files, good_files
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio

from mim_plugins.errors import ArchiveError, CorruptImageError, MissingPackageError
from mim_plugins.registry import TRANSFORMS
from mim_plugins.transforms import LoadImage, LoadRandomResizedCrop


@pytest.mark.parametrize("name", ["rgb.jpg", "turned.jpg", "gray16.png"])
def test_gives_what_the_transform_of_mmcv_gives(tmp_path, name):
    file = tmp_path / name
    file.write_bytes(good_files()[name])

    given = dict(img_path=str(file), gt_label=3)
    results = TRANSFORMS.build(dict(type="mim_plugins.LoadImage"))(given)
    expected = LoadImageFromFile()(dict(img_path=str(file), gt_label=3))

    assert given == dict(img_path=str(file), gt_label=3)
    assert np.array_equal(results.pop("img"), expected.pop("img"))
    assert results == expected


def test_missing_and_unreadable_files_are_corrupt(tmp_path):
    with pytest.raises(CorruptImageError, match=r"gone\.jpg': missing") as error:
        LoadImage()(dict(img_path=str(tmp_path / "gone.jpg")))
    assert error.value.kind == "missing"
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(CorruptImageError, match=r"folder\.jpg': unreadable \(Is a dir"):
        LoadImage()(dict(img_path=str(tmp_path / "folder.jpg")))


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("https://host/a.jpg", IncompleteRead(b"abc"), "IncompleteRead"),
        ("https://host/a.jpg", OSError("refused"), "refused"),
        ("none://host/a.jpg", None, "no file backend for 'none'://"),
    ],
)
def test_files_of_other_hosts_may_be_unreadable(monkeypatch, path, error, message):
    if error is not None:
        monkeypatch.setattr(fileio, "get", Mock(side_effect=error))
    for load in (LoadImage(), LoadRandomResizedCrop(8)):
        with pytest.raises(CorruptImageError, match=rf"a\.jpg': unreadable \(.*{message}"):
            load(dict(img_path=path))


@pytest.mark.parametrize("load", [LoadImage(), LoadRandomResizedCrop(8)])
def test_paths_need_not_be_text(tmp_path, load):
    (tmp_path / "a.png").write_bytes(good_files()["rgb.png"])
    (tmp_path / "b.png").write_bytes(b"x")
    for kind in (Path, os.fsencode):
        assert load(dict(img_path=kind(tmp_path / "a.png")))["img"].ndim == 3
        for name, message in (("b", "not an image"), ("gone", "missing")):
            with pytest.raises(CorruptImageError, match=message) as error:
                load(dict(img_path=kind(tmp_path / f"{name}.png")))
            assert error.value.path == str(tmp_path / f"{name}.png")
    assert LoadImage().read_bands(tmp_path / "a.png").pixels.shape[2] == 3


@pytest.mark.parametrize("load", [LoadImage(), LoadRandomResizedCrop(8)])
def test_archive_that_cannot_be_opened_is_no_corrupt_image(tmp_path, load):
    (tmp_path / "a.tar").write_bytes(b"x" * 600)
    with pytest.raises(ArchiveError, match="no complete tar archive"):
        load(dict(img_path=f"{tmp_path}/a.tar::0.png"))


def test_corrupt_content_names_the_path(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(corrupt_files()["half.jpg"][0])
    with pytest.raises(CorruptImageError, match=rf"'{file}': truncated"):
        LoadImage()(dict(img_path=str(file)))


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "link to a pipe"])
@pytest.mark.parametrize("load", [LoadImage(), LoadRandomResizedCrop(8)])
def test_what_is_no_file_neither_waits_nor_reads(tmp_path, monkeypatch, kind, load):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    path = Path("x.jpg")
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        os.mkfifo("pipe")
        path.symlink_to("pipe") if "link" in kind else os.rename("pipe", path)

    with pytest.raises(CorruptImageError, match=r"x\.jpg': unreadable") as error:
        load(dict(img_path=str(path)))
    assert error.value.kind == "unreadable"


@pytest.mark.parametrize("name", [b"\xff \n.jpg", b"a\rb.jpg"])
@pytest.mark.parametrize("content", [b"", b"x", corrupt_files()["half.jpg"][0]])
def test_a_message_is_one_line_whatever_the_name(tmp_path, name, content):
    path = os.path.join(tmp_path, os.fsdecode(name))
    Path(path).write_bytes(content)
    with pytest.raises(CorruptImageError) as error:
        LoadImage()(dict(img_path=path))
    assert error.value.path == path
    assert len(str(error.value).splitlines()) == 1
    str(error.value).encode("utf-8")
    Path(path).write_bytes(good_files()["rgb.jpg"])
    assert LoadImage()(dict(img_path=path))["img"].ndim == 3


@pytest.mark.parametrize("kind", [LoadImage, lambda **options: LoadRandomResizedCrop(8, **options)])
def test_missing_package_of_a_file_backend_is_one_line(kind):
    backends = (None, "s3://b/a.jpg"), (None, "c:s3://b/a.jpg"), (dict(backend="petrel"), "a.jpg")
    for backend_args, path in backends:
        with pytest.raises(MissingPackageError, match=r"petrel_client.*: install it") as caught:
            kind(backend_args=backend_args)(dict(img_path=path))
        assert f"'{path}' needs a package" in str(caught.value)
        assert "\n" not in str(caught.value)

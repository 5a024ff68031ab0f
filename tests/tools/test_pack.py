"""Packing of images into one file."""

import io

import cv2
import numpy as np
import pytest
from archive_files import class_files, image_bytes, write_archive, write_parquet, write_tar
from band_images import npy, npz, scene
from image_files import oriented
from image_folders import write_smooth_images
from packs import KINDS, contents, pack, write_folder
from PIL import Image
from remote_data import fake_hub, fake_web

from mim_plugins.cli.ctrl_c import TRACEBACK_VARIABLE
from mim_plugins.datasets import LabeledImageFolder, UnlabeledImageFolder
from mim_plugins.transforms import LoadImage, decode_image


def test_images_of_urls_are_packed(tmp_path, monkeypatch):
    urls = fake_web(monkeypatch, {"x/a.png": image_bytes(1), "y/b.png?size=1": image_bytes(2)})
    (tmp_path / "list.txt").write_text("\n".join(urls))
    pack(tmp_path / "list.txt", tmp_path / "out.tar", "--workers", 1)
    found = LabeledImageFolder(str(tmp_path / "out.tar"))
    assert (found.CLASSES, contents(found)) == (("x", "y"), [image_bytes(1), image_bytes(2)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["folder", "zip", "parquet", "cls"])
def test_bytes_and_labels_are_kept(tmp_path, kind, source):
    files = class_files(classes=["cat", "dog"], images=3)
    path = tmp_path / "source"
    if source == "folder":
        write_folder(path, files)
    elif source == "cls":
        labels = [10, 10, 10, 2, 2, 2]
        named = {f"{index}.png": data for index, data in enumerate(files.values())}
        named |= {f"{index}.cls": str(label).encode() for index, label in enumerate(labels)}
        write_tar(path := path.with_suffix(".tar"), named)
    else:
        write_archive(path := path.with_suffix(f".{source}"), files, source)
    out = tmp_path / f"out.{kind}"
    printed = pack(path, out).stdout
    assert f"6 images, {11 if source == 'cls' else 2} classes, 0 of them shrunk: {out}," in printed
    found, expected = LabeledImageFolder(str(out)), LabeledImageFolder(str(path))
    pairs = zip(contents(found), found.get_gt_labels(), strict=True)
    given = list(zip(contents(expected), expected.get_gt_labels(), strict=True))
    assert sorted(pairs) == sorted(given)


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_bands_are_kept(tmp_path, kind):
    files = {"a/0.npy": npy(scene(4)), "a/1.npz": npz(x=scene(4)), "b/2.npy": npy(scene(4))}
    write_folder(tmp_path / "in", files)
    out = tmp_path / f"out.{kind}"
    assert "3 images, 2 classes" in pack(tmp_path / "in", out).stdout
    load = dict(type="mim_plugins.LoadImage", bands=dict(channels=4))
    dataset = LabeledImageFolder(str(out), pipeline=[load])
    assert contents(dataset) == list(files.values())
    assert all(np.array_equal(sample["img"], scene(4)) for sample in dataset)


@pytest.mark.parametrize("kind", KINDS)
def test_large_images_are_shrunk_and_small_ones_kept(tmp_path, kind):
    write_smooth_images(tmp_path / "in/a", 3)
    small = image_bytes(size=(100, 90))
    write_folder(tmp_path / "in", {"b/0.png": small})
    out = tmp_path / f"out.{kind}"
    assert (
        "4 images, 2 classes, 3 of them shrunk"
        in pack(tmp_path / "in", out, "--short-side", 100, "--workers", 1).stdout
    )
    found = contents(LabeledImageFolder(str(out)))
    assert found[3] == small
    for index, data in enumerate(found[:3]):
        whole = LoadImage()(dict(img_path=f"{tmp_path}/in/a/{index:02d}.jpg"))["img"]
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.height) == ("JPEG", 100)
            assert image.width == round(whole.shape[1] * 100 / 120)
        expected = cv2.resize(whole, decode_image(data).shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(decode_image(data).astype(int) - expected).mean() < 2


def test_shrunk_images_are_upright(tmp_path):
    upright = decode_image(oriented("JPEG", 6))
    write_folder(tmp_path / "in", {"6.jpg": oriented("JPEG", 6)})
    pack(tmp_path / "in", tmp_path / "out.tar", "--short-side", 24, "--workers", 1)
    (data,) = contents(UnlabeledImageFolder(str(tmp_path / "out.tar")))
    found = cv2.resize(decode_image(data), upright.shape[1::-1])
    assert np.abs(found.astype(int) - upright).mean() < 12


def test_processes_write_the_same_file_as_one(tmp_path):
    write_smooth_images(tmp_path / "in", 3)
    for workers in (1, 2):
        out = tmp_path / f"{workers}.tar"
        pack(tmp_path / "in", out, "--short-side", 64, "--workers", workers)
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_processes_get_the_opened_data_of_the_hub(tmp_path, monkeypatch):
    fake_hub(monkeypatch, tmp_path, train=class_files())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the processes have no replacement of the hub
    options = ("--short-side", 16, "--workers", 2)
    assert (
        "4 images, 2 classes, 4 of them"
        in pack("hf://user/name", tmp_path / "o.tar", *options).stdout
    )


def test_missing_package_of_urls_is_one_line(tmp_path):
    (tmp_path / "list.txt").write_text("s3://bucket/a/1.jpg\n")
    for options in ((), ("--short-side", 16, "--workers", 1)):
        message = pack(tmp_path / "list.txt", tmp_path / "out.tar", *options, code=1).stderr
        assert message.splitlines()[-1].startswith("error: 's3://bucket/a/1.jpg' needs a package")
    assert not list(tmp_path.glob("out*"))


def test_corrupt_images_are_left_out_of_a_smaller_pack(tmp_path):
    write_folder(tmp_path / "in", {"0.png": image_bytes(), "1.png": image_bytes()[:500]})
    options = (tmp_path / "in", tmp_path / "out.tar", "--short-side", 16, "--workers", 1)
    output = pack(*options, code=1)
    assert "1 images, no labels, 1 of them shrunk" in output.stdout
    assert "error: 1 images were left out: corrupt image" in output.stderr
    assert len(UnlabeledImageFolder(str(tmp_path / "out.tar"))) == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [(MemoryError(), "MemoryError"), (cv2.error("no\nspace"), "cv2.error: no space")],
)
def test_unexpected_errors_are_one_line(tmp_path, monkeypatch, error, line):
    def fail(*_):
        raise error

    write_folder(tmp_path / "in", {"0.png": image_bytes()})
    monkeypatch.setattr(LoadImage, "__call__", fail)
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    options = (tmp_path / "in", tmp_path / "out.tar", "--short-side", 16, "--workers", 1)
    message = pack(*options, code=1).stderr.splitlines()[-1]
    assert message == f"error: {line} ({TRACEBACK_VARIABLE}=1 shows the traceback)"
    assert not list(tmp_path.glob("out*"))


def test_images_too_long_for_jpeg_are_copied(tmp_path):
    long = cv2.imencode(".png", np.zeros((2, 131_100, 3), np.uint8))[1].tobytes()
    write_folder(tmp_path / "in", {"0.png": long, "1.png": image_bytes()})
    options = (tmp_path / "in", tmp_path / "out.tar", "--short-side", 1, "--workers", 1)
    assert "2 images, no labels, 1 of them shrunk" in pack(*options).stdout
    assert contents(UnlabeledImageFolder(str(tmp_path / "out.tar")))[0] == long


@pytest.mark.parametrize("kind", KINDS)
def test_suffixes_do_not_let_one_image_replace_another(tmp_path, kind):
    given = {"k": image_bytes(1, kind="JPEG"), "k.jpg": image_bytes(2, kind="JPEG")}
    write_folder(tmp_path, given)
    (tmp_path / "list.txt").write_text("k\nk.jpg\n")
    out = tmp_path / f"out.{kind}"
    printed = pack(tmp_path / "list.txt", out, code=0 if kind == "parquet" else 1)
    kept = list(given.values()) if kind == "parquet" else [given["k.jpg"]]
    assert contents(UnlabeledImageFolder(str(out))) == kept
    message = f"'{tmp_path}/k': with a suffix, it would have the name 'k.jpg' of another image"
    assert (message in printed.stderr) == (kind != "parquet")


def test_wrong_arguments_and_sources_are_one_line(tmp_path, capsys):
    source = write_folder(tmp_path / "in", class_files("train") | class_files("val"))
    write_folder(tmp_path / "bad", {"0.png": b"x"})
    write_parquet(tmp_path / "exists.parquet", class_files())
    write_tar(tmp_path / "empty.tar", {})
    for arguments, code, message in (
        ((source, "x.jpg"), 2, r"OUT 'x.jpg' must end in .tar, .parquet, .lmdb"),
        ((source, "x.tar", "--format", "lmdb"), 2, "must end in .lmdb"),
        ((source, "x.tar", "--short-side", "0"), 2, "--short-side 0 must be at least 1"),
        ((source, "x.tar", "--quality", "101"), 2, "--quality 101 must be from 1 to 100"),
        ((source, tmp_path / "exists.parquet"), 2, "exists: remove it"),
        ((source, tmp_path / "x.parquet"), 1, "has different splits: train, val; a pack has one"),
        ((tmp_path / "none", tmp_path / "x.tar"), 1, "has no images: give a folder"),
        ((tmp_path / "empty.tar", tmp_path / "x.tar"), 1, "no images in the archive"),
        ((tmp_path / "bad", tmp_path / "x.tar", "--short-side", "9"), 1, "no image can be packed"),
    ):
        assert message in pack(*arguments, "--workers", 1, code=code).stderr
    assert not list(tmp_path.glob("x.*"))

"""Suffixes of images without one."""

from importlib import import_module

import cv2
import numpy as np
import pytest
from archive_files import image_bytes, write_parquet
from band_images import npy, npz, scene
from image_files import good_files
from packs import contents, pack
from tool_runs import TOOLS

from mim_plugins.datasets import LabeledImageFolder
from mim_plugins.datasets.image_files import BAND_SUFFIXES


@pytest.fixture
def name_of(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS / "dataset_converters")
    return import_module("content_suffix").with_suffix_of


def encoded(suffix):
    return cv2.imencode(suffix, np.arange(192, dtype=np.uint8).reshape(8, 8, 3))[1].tobytes()


def test_files_of_every_kind_get_a_suffix_that_is_read(name_of):
    files = {*good_files().values(), npy(scene(2)), npz(a=scene(2)), bytes(128) + b"DICM"}
    files |= {b"P2 2 2 255 1 2 3 4", b"P3#x\n1 1 255 1 2 3", b"P5\n2 2\n255\n1234", encoded(".ppm")}
    for data in files:
        name = name_of("7", data)
        assert name.startswith("7.")
        assert name.endswith(BAND_SUFFIXES)
        assert name_of(name, data) == name


def test_given_suffixes_are_kept_except_of_jpeg(name_of):
    jpeg, png = image_bytes(kind="JPEG"), image_bytes()
    assert name_of("a/1.JPEG", jpeg) == "a/1.JPEG"
    assert name_of("a/1.png", jpeg) == "a/1.png.jpg"
    assert name_of("a/1.jpg", png) == "a/1.jpg"
    assert name_of("a/1.tif", b"corrupt") == "a/1.tif"
    for unknown in (b"", b"P7\n", b"RIFF....WAVE", b"\0\0\0\x1cftypavif", b"\0\0\0\x0cjP  "):
        assert name_of("1", unknown) is None


@pytest.mark.parametrize("kind", ["tar", "lmdb"])
def test_rows_without_a_known_format_are_left_out(tmp_path, kind):
    files = {"a/0.jpg": encoded(".jpg"), "b/1.x": b"\0\0\0\x1cftypavif", "b/2.ppm": encoded(".ppm")}
    write_parquet(tmp_path / "in.parquet", files)
    output = pack(tmp_path / "in.parquet", tmp_path / f"out.{kind}", code=1)
    assert "1 images were left out" in output.stderr
    assert f"in.parquet::1': {kind} needs a suffix" in output.stderr
    dataset = LabeledImageFolder(str(tmp_path / f"out.{kind}"))
    assert contents(dataset) == [files["a/0.jpg"], files["b/2.ppm"]]
    assert list(dataset.get_gt_labels()) == [0, 1]


def test_rows_of_tables_need_no_suffix(tmp_path):
    files = {"a/0.jpg": encoded(".jpg"), "b/1.x": b"\0\0\0\x1cftypavif"}
    write_parquet(tmp_path / "in.parquet", files)
    pack(tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert contents(LabeledImageFolder(str(tmp_path / "out.parquet"))) == list(files.values())

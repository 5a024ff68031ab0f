"""Number and sizes of images in folders."""

import os

import pytest
from archive_files import class_files, image_bytes, write_archive
from band_images import write_scenes
from image_files import encode, exif
from image_folders import write_images
from packs import write_folder
from PIL import Image
from remote_data import fake_web

from mim_plugins.cli.pretraining.image_survey import DataPart, survey_images
from mim_plugins.datasets import LabeledImageFolder, UnlabeledImageFolder
from mim_plugins.errors import ConfigError, DataNotFoundError


def test_images_of_all_folders_are_counted(tmp_path):
    write_images(tmp_path / "a/x/y", 3, (48, 56))
    write_images(tmp_path / "b/train/c", 2, (70, 60))
    write_images(tmp_path / "b/val/c", 5)
    survey = survey_images([tmp_path / "a", str(tmp_path / "b")])
    parts = DataPart(f"{tmp_path}/a"), DataPart(f"{tmp_path}/b/train")
    assert survey == (parts, 5, 48, 56 / 48, None)


@pytest.mark.parametrize("kind", ["folder", "tar", "tars"])
def test_class_of_the_name_train_is_read_with_an_option(tmp_path, kind):
    names = ("train/0.png", *(f"{name}/0.png" for name in ("bus", "car", "cat", "dog")))
    files = dict.fromkeys(names, image_bytes())
    if kind == "tars":
        for name in files:
            write_archive(tmp_path / f"a/{name[:-6]}.tar", {"0.png": image_bytes()}, "tar")
        place = tmp_path / "a"
    elif kind == "tar":
        place = write_archive(tmp_path / "a.tar", files, "tar")
    else:
        place = write_folder(tmp_path / "a", files)
    with pytest.raises(
        DataNotFoundError, match=r"may be the split, or a class .*; --split '' reads"
    ):
        survey_images([place])
    survey = survey_images([place], split="")
    assert (survey.parts, survey.images) == ((DataPart(str(place)),), 5)


def test_run_reads_the_images_that_were_counted(tmp_path):
    names = ("train_1/0.png", "train_1/a/0.png", "unlabeled/0.png", "val_1/0.png")
    place = write_folder(tmp_path / "a", dict.fromkeys(names, image_bytes()))
    (place / "train_1/extra").symlink_to("../unlabeled")
    survey = survey_images([place])
    (part,) = survey.parts
    assert (part.root, survey.images) == (str(place / "train_1"), 3)
    dataset = UnlabeledImageFolder(part.root, data_prefix=part.split, lazy_init=True)
    assert len(dataset.load_data_list()) == survey.images


@pytest.mark.parametrize("beside", ["val/a/0.png", "0.png", "train/notes.txt"])
def test_archives_of_the_split_precede_other_images(tmp_path, beside):
    write_archive(tmp_path / "train.tar", class_files(), "tar")
    write_folder(tmp_path, {beside: image_bytes()})
    survey = survey_images([tmp_path])
    assert (survey.parts, survey.images) == ((DataPart(str(tmp_path), "train"),), 4)
    for kind in (UnlabeledImageFolder, LabeledImageFolder):
        dataset = kind(str(tmp_path), data_prefix="train", lazy_init=True)
        assert len(dataset.load_data_list()) == 4


def test_other_splits_alone_are_not_read(tmp_path):
    write_folder(tmp_path, class_files("val") | class_files("test"))
    for read in (survey_images, lambda roots: UnlabeledImageFolder(roots[0], data_prefix="train")):
        with pytest.raises(DataNotFoundError, match="has no split 'train', but test, val: give"):
            read([str(tmp_path)])
    for given in "", "x":
        with pytest.raises(
            DataNotFoundError, match=r"give the path of one as data; --split '' reads all$"
        ):
            survey_images([tmp_path / given])
        (tmp_path / "x").mkdir(exist_ok=True)
        write_archive(tmp_path / "x/a.tar", class_files("test"), "tar")
    assert survey_images([tmp_path / "x"], split="test").images == 4
    (tmp_path / "x/a.tar").unlink()
    (tmp_path / "val").rename(tmp_path / "train")
    assert survey_images([tmp_path]).images == 4


def test_lists_and_archives_are_counted_with_their_weights(tmp_path):
    archive = write_archive(tmp_path / "a.zip", class_files("train") | class_files("val"), "zip")
    write_images(tmp_path, 2, (30, 20))
    (tmp_path / "list.txt").write_text("00.jpg\n01.jpg\n")
    write_archive(tmp_path / "c/train-0.parquet", class_files(), "parquet")
    survey = survey_images([f"{archive}:2.5", tmp_path / "list.txt", f"{tmp_path}/c:0.5"])
    first, second, third = survey.parts
    assert first == DataPart(str(archive), "train", weight=2.5)
    assert second == DataPart(str(tmp_path), ann_file=f"{tmp_path}/list.txt")
    assert third == DataPart(f"{tmp_path}/c", "train", weight=0.5)
    assert survey.images == 10 + 2 + 2


def test_lists_of_urls_are_measured(tmp_path, monkeypatch):
    urls = fake_web(monkeypatch, {"a.png": image_bytes(size=(50, 70)), "b.png": b"x"})
    (tmp_path / "list.txt").write_text("\n".join(urls))
    survey = survey_images([tmp_path / "list.txt"])
    assert (survey.images, survey.short_side) == (2, 50)


def test_names_that_look_like_weights_are_folders_if_they_exist(tmp_path):
    write_images(tmp_path / "a:2")
    assert survey_images([tmp_path / "a:2"]).parts == (DataPart(f"{tmp_path}/a:2"),)
    with pytest.raises(ConfigError, match=r"a:2:0': weight 0\.0 must be a number above 0"):
        survey_images([f"{tmp_path}/a:2:0"])


def test_unreadable_images_do_not_affect_the_size(tmp_path):
    write_images(tmp_path, 2, (64, 64))
    (tmp_path / "x.jpg").write_bytes(b"no image")
    assert survey_images([tmp_path]).short_side == 64


def test_shapes_are_those_of_upright_images(tmp_path):
    for orientation in 1, 6:
        content = encode(Image.new("RGB", (80, 40)), "JPEG", exif=exif(orientation))
        place = write_folder(tmp_path / str(orientation), {"a.jpg": content})
        assert survey_images([place]).aspect_ratio == (2 if orientation == 1 else 1 / 2)


def test_images_beyond_the_limit_of_pillow_are_measured(tmp_path, monkeypatch):
    write_images(tmp_path, 2, (64, 48))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert survey_images([tmp_path]).short_side == 48


def test_bands_are_counted_and_measured(tmp_path):
    pytest.importorskip("tifffile")
    write_scenes(tmp_path, 3, bands=4)
    write_scenes(tmp_path / "more", 2, suffix=".npy", bands=4, size=(60, 48))
    survey = survey_images([tmp_path], channels=4)
    assert (survey.images, survey.short_side, survey.aspect_ratio) == (5, 40, 1.25)
    assert len(survey.statistics.mean) == 4
    for channels, message in ((3, "5 of 5 images have another number of bands"), (0, "channels=0")):
        with pytest.raises(ValueError if channels == 0 else DataNotFoundError, match=message):
            survey_images([tmp_path], channels=channels)


def test_missing_and_empty_folders_are_errors(tmp_path):
    (tmp_path / "file.pdf").touch()
    (tmp_path / "file.tar.gz").touch()
    (tmp_path / "list.txt").touch()
    (tmp_path / "none").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/x.png").touch()
    for name, message in (
        ("missing", "does not exist"),
        ("file.pdf", "is not a folder, and no archive either"),
        ("file.tar.gz", "a format that is not read"),
        ("gone.zip", "the archive '.*gone.zip' does not exist"),
        ("list.txt", "contains no images"),
        ("none", "contains no images"),
        ("bad", "none of 1 images can be read; the first: .*bad/x.png.*empty"),
    ):
        with pytest.raises(DataNotFoundError, match=message):
            survey_images([tmp_path / name])


@pytest.mark.parametrize("name", ["gone.png", "images.zip::gone.png"])
def test_files_missing_in_a_list_are_named_without_other_hints(tmp_path, name):
    write_archive(tmp_path / "images.zip", {"a.png": image_bytes()}, "zip")
    (tmp_path / "list.txt").write_text(name)
    with pytest.raises(DataNotFoundError, match="relative to the folder of the list") as error:
        survey_images([tmp_path / "list.txt"])
    assert "--channels" not in str(error.value)


def test_folder_whose_name_is_not_utf8_is_an_error(tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.mkdir(folder)
    with pytest.raises(DataNotFoundError, match="is not UTF-8"):
        survey_images([folder])

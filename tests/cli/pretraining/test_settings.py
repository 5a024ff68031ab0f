"""Automatic settings from images and machine."""

import pytest

from mim_plugins.cli.machine import Machine
from mim_plugins.cli.pretraining.image_survey import DataPart, ImageSurvey
from mim_plugins.cli.pretraining.settings import resolve_settings
from mim_plugins.datasets.channel_statistics import ChannelStatistics
from mim_plugins.errors import ConfigError

CPU, GPU = Machine(False, 2, 2**33), Machine(True, 16, 2**36)


def survey(images=200, short_side=375, folder="/data/my photos"):
    return ImageSurvey((DataPart(folder),), images, short_side)


def test_a_small_folder_on_a_cpu_has_small_defaults():
    settings = resolve_settings(survey(), CPU)
    assert (settings.method, settings.arch, settings.size.shape[0]) == ("mixmae", "swin-t", 128)
    assert (settings.batch_size, settings.steps, settings.workers) == (16, 12, 1)
    assert str(settings.out) == "work_dirs/mixmae_swin-t_my_photos"
    assert settings.config.name == "mixmae_swin-t_my_photos.py"
    assert "16 mask cells of 32 px" in settings.describe()


def test_a_large_folder_on_a_gpu_has_the_recipes_size():
    settings = resolve_settings(survey(1_281_167), GPU)
    assert (settings.arch, settings.size.shape[0], settings.batch_size) == ("swin-b", 224, 256)
    assert (settings.epochs, settings.warmup) == (300, 20)
    assert resolve_settings(survey(1000), GPU).arch == "swin-s"


@pytest.mark.parametrize("epochs", [1, 2, 15, 600, 1600])
def test_warmup_is_shorter_than_the_run(epochs):
    settings = resolve_settings(survey(), CPU, epochs=epochs)
    assert 0 <= settings.warmup < epochs
    assert settings.warmup == 40 or epochs < 600


def test_given_settings_are_kept():
    settings = resolve_settings(
        survey(), CPU, "mae", "vit-s", img_size=96, epochs=7, batch_size=3, out="x/y"
    )
    assert settings[:2] == ("mae", "vit-s")
    assert (settings.size.shape[0], settings.epochs, settings.batch_size) == (96, 7, 3)
    assert str(settings.out) == "x/y"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/data/birds/train", "birds"),
        ("/data/birds/train2017", "birds_train2017"),
        ("/data/birds/images/train", "birds_images"),
        ("/data/birds/val.tar", "birds_val"),
        ("/data/birds/data/train-*.parquet", "birds_data_train-_"),
        ("/data/birds/training.txt", "birds"),
        ("/data/birds.v2", "birds_v2"),
        ("/train", "data"),
        ("hf://user/birds#val", "user_birds_val"),
    ],
)
def test_work_folder_is_named_after_the_data_set(folder, name):
    assert resolve_settings(survey(folder=folder), CPU).out.name == f"mixmae_swin-t_{name}"


def measured(channels):
    values = [1.0] * channels
    found = ChannelStatistics(values, values, values, values, 0, 9, [(64, 64)] * 9, [])
    return ImageSurvey((DataPart("/data/x"),), 200, 375, statistics=found)


def test_channels_follow_from_the_measured_images():
    settings = resolve_settings(measured(13), CPU, shown_bands=(3, 2, 1))
    assert (settings.channels, settings.shown_bands) == (13, (3, 2, 1))
    assert "swin-t, 13 channels, 128 px" in settings.describe()
    assert resolve_settings(measured(4), CPU).shown_bands == (0, 1, 2)
    assert resolve_settings(measured(2), CPU).shown_bands == (0,)
    assert resolve_settings(survey(), CPU).channels is None


@pytest.mark.parametrize(
    ("images", "given", "message"),
    [
        (measured(4), dict(shown_bands=(0, 1, 4)), r"\(0, 1, 4\) must be .* from 0 to 3"),
        (measured(4), dict(shown_bands=(0, 1)), "one or three bands"),
        (survey(), dict(shown_bands=(0,)), "shown_bands needs channels"),
        (measured(3), dict(method="mrmae"), "teacher 'clip' reads 8-bit RGB images: leave"),
        (measured(13), dict(teacher="dino"), "teacher 'dino' reads 8-bit RGB"),
    ],
)
def test_wrong_bands_are_errors(images, given, message):
    with pytest.raises(ConfigError, match=message):
        resolve_settings(images, CPU, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(epochs=0), "epochs 0 must be at least 1"),
        (dict(batch_size=1), "batch_size 1 must be from 2 to the number of images, 200"),
        (dict(batch_size=201), "batch_size 201 must be from 2"),
        (dict(method="mea"), "did you mean mae"),
        (dict(arch="vit-b"), "arch 'vit-b' is not one of swin-t"),
        (dict(img_size=100), "img_size 100 fits no grid"),
    ],
)
def test_wrong_settings_are_errors(given, message):
    with pytest.raises(ConfigError, match=message):
        resolve_settings(survey(), CPU, **given)


def test_a_single_image_cannot_be_mixed():
    with pytest.raises(ConfigError, match="MixMAE mixes pairs"):
        resolve_settings(survey(1), CPU)
    assert resolve_settings(survey(1), CPU, "mae").batch_size == 1

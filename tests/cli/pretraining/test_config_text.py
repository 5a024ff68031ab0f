"""Config files that pre-training writes."""

import pytest
import torch
from mmengine.config import Config

from mim_plugins.apis import build_model
from mim_plugins.cli.machine import Machine
from mim_plugins.cli.pretraining import methods
from mim_plugins.cli.pretraining.config_text import config_text
from mim_plugins.cli.pretraining.image_survey import DataPart, ImageSurvey
from mim_plugins.cli.pretraining.settings import resolve_settings
from mim_plugins.cli.run_config import check_known_arguments
from mim_plugins.datasets.channel_statistics import ChannelStatistics
from mim_plugins.registry import TRANSFORMS

MACHINE = Machine(False, 2, 2**33)


def read(*folders, **given):
    survey = ImageSurvey(tuple(map(DataPart, folders or ("/data/x",))), 200, 375)
    cfg = Config.fromstring(config_text(resolve_settings(survey, MACHINE, **given)), ".py")
    check_known_arguments(cfg)
    return cfg


@pytest.mark.parametrize(
    ("method", "arch", "side"),
    [
        ("mixmae", "swin-t", 96),
        ("mixmae", "pvt-t", 128),
        ("mae", "vit-t", 48),
        ("mae", "mcmae-s", 96),
        ("mixmae", "swin-t", (96, 160)),
        ("mixmae", "pvt-t", (160, 128)),
        ("mae", "mcmae-s", (64, 96)),
    ],
)
def test_config_builds_the_chosen_encoder(method, arch, side):
    cfg = read(method=method, arch=arch, img_size=side)
    with torch.device("meta"):
        model = build_model(cfg)
    size = (side, side) if isinstance(side, int) else side
    assert model.backbone.img_size == size
    assert min(size) // model.backbone.encoder_stride >= 4
    assert not getattr(model, "mimics", None)
    crop = TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[0])
    assert crop.size == size


@pytest.mark.parametrize("channels", [1, 3, 13])
def test_channels_are_one_variable_of_loader_and_model(channels):
    mean, std = [float(n + 1) for n in range(channels)], [2.0] * channels
    found = ChannelStatistics(mean, std, mean, mean, 0, 9, [(64, 64)] * 9, [])
    given = ImageSurvey((DataPart("/data/x"),), 200, 375, statistics=found)
    text = config_text(resolve_settings(given, MACHINE, "mae", img_size=(96, 128)))
    assert text.count(f"channels = {channels}\n") == 1
    cfg = Config.fromstring(text, ".py")
    check_known_arguments(cfg)
    with torch.device("meta"):
        model = build_model(cfg)
    assert model.backbone.in_channels == channels
    assert model.backbone.img_size == (96, 128)
    assert model.decoder.pred.out_features == 16 * 16 * channels
    assert model.data_preprocessor.bgr_to_rgb == (channels == 3)
    crop = TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[0])
    assert (crop.bands.channels, crop.size) == (channels, (96, 128))
    assert crop.bands.fill.tolist() == mean


def test_learning_rate_follows_the_recipes_rule():
    cfg = read(batch_size=64)
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(1.5e-4 * 64 / 256)
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size == 64


def test_schedule_of_one_epoch_has_no_warmup():
    assert len(read(epochs=1).param_scheduler) == 1
    first, second = read(epochs=30).param_scheduler
    assert first.end == second.begin == 2


def test_several_folders_are_concatenated():
    dataset = read("/data/x", "/data/y z").train_dataloader.dataset
    assert dataset.type == "ConcatDataset"
    assert [each.data_root for each in dataset.datasets] == ["/data/x", "/data/y z"]


def test_weights_and_lists_reach_loader_and_sampler():
    parts = (DataPart("/x.tar", "train", weight=2.0), DataPart("/y", ann_file="/y/l.txt"))
    settings = resolve_settings(ImageSurvey(parts, 200, 375), MACHINE)
    loader = Config.fromstring(config_text(settings), ".py").train_dataloader
    assert loader.sampler == dict(type="mim_plugins.MixtureSampler", weights=[2.0, 1.0])
    first, second = loader.dataset.datasets
    assert (first.data_root, first.data_prefix.img_path) == ("/x.tar", "train")
    assert (second.data_root, second.ann_file) == ("/y", "/y/l.txt")
    assert read("/data/x").train_dataloader.sampler.type == "DefaultSampler"


@pytest.mark.parametrize("method", ["mixmae", "mrmae"])
def test_teachers_replace_that_of_the_recipe(method, monkeypatch):
    monkeypatch.setattr(methods, "find_spec", lambda name: object())
    mimics = read(method=method, teacher="dino").model.mimics
    assert list(mimics) == ["dino"]
    assert mimics.dino.target_generator.model_name == methods.DINO
    assert mimics.dino.grid_scale == (2 if method == "mixmae" else 1)
    clip = read(method=method, teacher="clip").model.mimics.clip
    assert clip.target_generator.type == "mim_plugins.OpenCLIPTarget"

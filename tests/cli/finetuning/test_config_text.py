"""Config files that fine-tuning writes."""

from pathlib import Path

import numpy as np
import pytest
from band_images import write_scenes
from image_folders import write_images
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS, DefaultScope

from mim_plugins.apis import read_config
from mim_plugins.cli.finetuning.config_text import Settings, config_text
from mim_plugins.cli.labeled_survey import LabeledSurvey
from mim_plugins.cli.run_config import check_known_arguments
from mim_plugins.errors import ConfigError


@pytest.mark.parametrize(
    ("pretrained", "channels", "kind"),
    [
        ("mixmae/swin_t_w7_shifted_300e", 768, "MaskedSwin"),
        ("mixmae/pvt_s_300e", 512, "MaskedPVT"),
        ("mrmae/vit_b_400e", 768, "MaskedViT"),
        ("mrmae/mcmae_s_200e", 384, "MaskedConvViT"),
    ],
)
def test_classifier_has_the_pretrained_encoder(pretrained, channels, kind):
    survey = LabeledSurvey("/data/x", 60, 7)
    settings = Settings(survey, Path("/runs/epoch_1.pth"), 16, 10, 1, Path("work_dirs/x"))
    cfg = Config.fromstring(config_text(settings, read_config(pretrained)), ".py")
    assert cfg.model.backbone.type == f"mim_plugins.{kind}"
    assert cfg.model.backbone.init_cfg.checkpoint == "/runs/epoch_1.pth"
    assert cfg.model.head.num_classes == cfg.data_preprocessor.num_classes == 7
    assert cfg.model.head.in_channels == channels
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(5e-4 * 16 / 256)
    assert cfg.val_dataloader.dataset.data_prefix == "val"
    assert list(cfg.val_evaluator.topk) == [1, 5]


def text_for(pretrained):
    survey = LabeledSurvey("/data/x", 60, 7)
    settings = Settings(survey, Path("/runs/epoch_1.pth"), 16, 10, 1, Path("work_dirs/x"))
    return config_text(settings, pretrained)


def shapes(cfg, path):
    """Return the shapes of the images of both pipelines."""
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        for pipeline in (cfg.train_pipeline, cfg.test_pipeline):
            yield Compose(pipeline)(dict(img_path=str(path), gt_label=0))["inputs"].shape


def test_rectangles_are_height_and_width_in_all_pipelines(tmp_path):
    pretrained = read_config("mrmae/vit_b_400e")
    pretrained.model.backbone.img_size = (48, 96)
    cfg = Config.fromstring(text_for(pretrained), ".py")
    (path,) = write_images(tmp_path, 1, (70, 200)).iterdir()
    assert set(shapes(cfg, path)) == {(3, 48, 96)}


@pytest.mark.parametrize("kind", ["colors", "gray", "bands"])
@pytest.mark.parametrize("size", [(48, 384), (384, 48), (48, 48)])
def test_crops_have_the_shape_of_the_encoders_images(kind, size):
    pretrained = read_config("mrmae/vit_b_400e")
    pretrained.model.backbone.update(img_size=size, in_channels=1 if kind == "gray" else 3)
    if kind == "bands":
        pretrained.train_dataloader.dataset.pipeline[0].bands = dict(channels=3)
    cfg = Config.fromstring(text_for(pretrained), ".py")
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        crop = TRANSFORMS.build(cfg.train_pipeline[0 if kind == "bands" else 1])
    image = np.zeros((size[0] * 2, size[1] * 2, 3), np.uint8)
    np.random.seed(0)
    if kind == "bands":
        found = {tuple(crop._sample_box(image.shape[:2])) for _ in range(50)}
    else:
        found = {crop.rand_crop_params.__wrapped__(crop, image) for _ in range(50)}
    assert len(found) >= 45
    scale = cfg.test_pipeline[1]["scale"]
    assert scale == (55 if size == (48, 48) else [54, 439] if size == (48, 384) else [439, 54])


@pytest.mark.parametrize("pretrained", ["mrmae/vit_b_400e", "mixmae/pvt_s_300e"])
def test_the_classifier_reads_the_last_output_only(pretrained):
    given = read_config(pretrained)
    given.model.backbone.out_indices = (0, 2)
    backbone = Config.fromstring(text_for(given), ".py").model.backbone
    assert "out_indices" not in backbone


def test_gray_models_are_fine_tuned_on_gray_images(tmp_path):
    pretrained = read_config("mrmae/vit_b_400e")
    pretrained.model.backbone.update(img_size=(48, 96), in_channels=1)
    pretrained.model.data_preprocessor.update(mean=[118.0], std=[60.0], bgr_to_rgb=False)
    cfg = Config.fromstring(text_for(pretrained), ".py")
    check_known_arguments(cfg)
    assert cfg.data_preprocessor.to_dict() == dict(
        num_classes=7, mean=[118.0], std=[60.0], to_rgb=False
    )
    (path,) = write_images(tmp_path, 1, (70, 200)).iterdir()
    assert set(shapes(cfg, path)) == {(1, 48, 96)}


@pytest.mark.parametrize("channels", [3, 13])
def test_bands_of_the_pre_training_are_read_and_normalized(tmp_path, channels):
    pytest.importorskip("tifffile")
    pretrained = read_config("mrmae/vit_b_400e")
    pretrained.model.backbone.update(img_size=(48, 96), in_channels=channels)
    means = [float(n) for n in range(channels)]
    pretrained.model.data_preprocessor.update(
        mean=means, std=[2.0] * channels, bgr_to_rgb=channels == 3
    )
    bands = dict(channels=channels, fill=means)
    pretrained.train_dataloader.dataset.pipeline[0].bands = bands
    cfg = Config.fromstring(text_for(pretrained), ".py")
    check_known_arguments(cfg)
    assert cfg.data_preprocessor.to_dict() == dict(
        num_classes=7, mean=means, std=[2.0] * channels, to_rgb=channels == 3
    )
    assert cfg.model.backbone.in_channels == channels
    (path,) = write_scenes(tmp_path, 1, bands=channels).iterdir()
    assert set(shapes(cfg, path)) == {(channels, 48, 96)}


@pytest.mark.parametrize("place", ["model", "top"])
@pytest.mark.parametrize(
    ("given", "loader", "expected"),
    [
        (dict(mean=[1.0, 2.0, 3.0], std=[4.0] * 3, bgr_to_rgb=True), "LoadImage", True),
        (dict(mean=[1.0, 2.0, 3.0], std=[4.0] * 3), "LoadImage", False),
        (dict(mean=[1.0, 2.0, 3.0], std=[4.0] * 3), "InMemory", True),
        (dict(mean=[127.5], std=[127.5], rgb_to_bgr=True), "LoadImage", True),
        (dict(type="ClsDataPreprocessor", to_rgb=True), "LoadImage", True),
    ],
)
def test_normalization_and_colors_are_those_of_pre_training(given, loader, expected, place):
    pretrained = read_config("mrmae/vit_b_400e")
    pretrained.model.data_preprocessor = pretrained.data_preprocessor = None
    (pretrained.model if place == "model" else pretrained).data_preprocessor = given
    pretrained.train_dataloader.dataset.pipeline[0] = dict(type=loader)
    found = Config.fromstring(text_for(pretrained), ".py").data_preprocessor
    assert found.to_rgb == expected
    assert found.mean == given.get("mean", [0.0])
    assert found.std == given.get("std", [1.0])


def test_pre_training_whose_pipeline_normalizes_is_refused():
    pretrained = read_config("mrmae/vit_b_400e")
    pretrained.train_dataloader.dataset.pipeline.insert(1, dict(type="mmcv.Normalize"))
    with pytest.raises(ConfigError, match="train_dataloader: the pipeline contains Normalize"):
        text_for(pretrained)

"""Config file of a run, written by ``mim-plugins finetune``."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from ...apis.trained_normalization import described_normalization
from ...backbones import MaskedConvViT, PlainBackbone
from ...datasets.wrappers import loading_bands
from ...file_names import printable
from ...registry import MODELS
from ...transforms.center_crop import covering_scale
from ..commands.names import PROGRAM
from ..config_source import Expression, literal
from ..labeled_survey import LabeledSurvey
from ..own_runs import WRITTEN_BY, reporting_hooks

_TOP_5 = 5


class Settings(NamedTuple):
    """Settings of a run."""

    labeled: LabeledSurvey
    weights: Path
    """Checkpoint of the encoder, absolute."""
    batch_size: int
    epochs: int
    workers: int
    out: Path


def _backbone(pretrained: Config, weights: Path) -> tuple[dict[str, Any], int]:
    """Return the config of the classifier's backbone, and its channels."""
    given = dict(pretrained.model.get("backbone") or {})
    with torch.device("meta"):
        built: Any = MODELS.build(dict(given, init_cfg=None))
    given.pop("out_indices", None)
    given |= dict(drop_path_rate=0.1, out_type="avg_featmap")
    if isinstance(built, PlainBackbone):
        given["learn_pos_embed"] = True
    if isinstance(built, MaskedConvViT):
        given["fuse_stages"] = False
    given["init_cfg"] = dict(type="Pretrained", checkpoint=str(weights), prefix="backbone.")
    return given, built.stage_channels[-1]


def _loaders(settings: Settings) -> list[dict[str, Any]]:
    """Return the configs of the loaders of training and validation."""
    loader = dict(batch_size=Expression("batch_size"), num_workers=settings.workers)
    dataset = dict(
        _delete_=True, type="mim_plugins.LabeledImageFolder", data_root=settings.labeled.root
    )
    return [
        dict(
            loader,
            dataset=dict(dataset, data_prefix=split, pipeline=Expression(f"{name}_pipeline")),
        )
        for split, name in (("train", "train"), ("val", "test"))
    ]


def _pipeline_lines(size: tuple[int, int], bands: dict | None, is_gray: bool) -> list[str]:
    """Return the lines of the pipelines; the recipe's augmentation is for 8-bit colors."""
    height, width = size
    crop_shape = f"scale=({height}, {width})"
    if height != width:
        ratio = f"{width} / {height}"
        crop_shape += f", aspect_ratio_range=(3 / 4 * {ratio}, 4 / 3 * {ratio})"
    lines = [
        f"resize = dict(_base_.test_pipeline[1], scale={covering_scale(size)})",
        f"center = dict(_base_.test_pipeline[2], crop_size=({width}, {height}))",
    ]
    if is_gray:
        lines += [
            f"crop = dict(_base_.train_pipeline[1], {crop_shape})",
            'load = dict(type="LoadImageFromFile", color_type="grayscale")',
            "flip, pack = _base_.train_pipeline[2], _base_.train_pipeline[-1]",
            "train_pipeline = [load, crop, flip, pack]",
        ]
    elif bands is None:
        lines += [
            f"crop = dict(_base_.train_pipeline[1], {crop_shape})",
            "train_pipeline = [_base_.train_pipeline[0], crop, *_base_.train_pipeline[2:]]",
            "load = _base_.test_pipeline[0]",
        ]
    else:
        crop = dict(
            type="mim_plugins.LoadRandomResizedCrop",
            scale=list(size),
            crop_ratio_range=[0.08, 1.0],
            flip_prob=0.5,
            bands=Expression("bands"),
        )
        lines += [
            f"bands = {literal(dict(bands))}",
            f"crop = {literal(crop)}",
            "train_pipeline = [crop, _base_.train_pipeline[-1]]",
            'load = dict(type="mim_plugins.LoadImage", bands=bands)',
        ]
    return [*lines, "test_pipeline = [load, resize, center, _base_.test_pipeline[3]]"]


def config_text(settings: Settings, pretrained: Config) -> str:
    """Return the content of a config that inherits from a recipe, for ``tools/train.py``."""
    labeled, epochs = settings.labeled, settings.epochs
    steps = labeled.images // settings.batch_size
    backbone, channels = _backbone(pretrained, settings.weights)
    is_plain = "learn_pos_embed" in backbone
    base = "mrmae/vit_b_finetune_100e" if is_plain else "mixmae/swin_b_finetune_100e"
    size = backbone.get("img_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    bands = loading_bands(pretrained.train_dataloader.dataset)
    is_gray = bands is None and backbone.get("in_channels") == 1
    trained = described_normalization(pretrained.to_dict())
    preprocessor = dict(
        num_classes=labeled.classes,
        mean=list(trained.mean),
        std=list(trained.std),
        to_rgb=trained.to_rgb,
    )
    train_loader, val_loader = _loaders(settings)
    topk = [1, _TOP_5] if labeled.classes > _TOP_5 else [1]
    warmup = min(max(round(epochs / 20), 1), epochs - 1)  # 5 of 100 epochs, as in the recipes
    head = dict(num_classes=labeled.classes, in_channels=channels)
    model = dict(backbone=dict(_delete_=True, **backbone), head=head)
    run = printable(shlex.quote(str(settings.out)))
    schedule = ["dict(_base_.param_scheduler[1], begin=warmup_epochs)"]
    if warmup:
        schedule.insert(0, "dict(_base_.param_scheduler[0], end=warmup_epochs)")
    lines = [
        f"# Fine-tuning on own images, {WRITTEN_BY} finetune.",
        f"# Continue:  {PROGRAM} resume {run}\n",
        f"_base_ = f\"{{__import__('mim_plugins').CONFIG_DIR}}/{base}.py\"\n",
        f"batch_size = {settings.batch_size}",
        f"epochs = {epochs}",
        f"warmup_epochs = {warmup}\n",
        f"model = {literal(model)}",
        f"data_preprocessor = {literal(preprocessor)}",
        *_pipeline_lines((height, width), bands, is_gray),
        f"train_dataloader = {literal(train_loader)}",
        f"val_dataloader = {literal(val_loader)}",
        "test_dataloader = val_dataloader",
        f"val_evaluator = {literal(dict(topk=topk))}",
        "test_evaluator = val_evaluator",
        "# the recipe's rate per 256 images",
        "optim_wrapper = dict(optimizer=dict(lr=_base_.base_lr * batch_size / 256))",
        "auto_scale_lr = dict(base_batch_size=batch_size)",
        f"param_scheduler = [{', '.join(schedule)}]",
        f"train_cfg = dict(max_epochs=epochs, val_interval={max(epochs // 10, 1)})",
        f"default_hooks = {literal(reporting_hooks(steps, epochs))}",
    ]
    return "\n".join(lines) + "\n"

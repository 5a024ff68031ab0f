"""Batch of images without content, as a data loader would return it."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement

from mim_plugins.algorithms.dependent_parts import image_channels


def training_batch(model: Any, cfg: Config, batch: int, img_size: tuple[int, int]) -> dict:
    """Return black images on the CPU, with the labels and masks that a model of ``cfg`` needs.

    Args:
        model: pre-training or classification model.
        cfg: its config. Masks are made by the mask generator of the training pipeline, if it has
            one, at the size that is set there.
        batch: number of images.
        img_size: (H, W), in pixels.
    """
    images = torch.zeros((batch, image_channels(model.backbone), *img_size), dtype=torch.uint8)
    # BEiT reads another normalization of the same images for its tokenizer
    is_pair = "second_mean" in (cfg.get("data_preprocessor") or {})
    inputs = [images, images.clone()] if is_pair else images
    return dict(inputs=inputs, data_samples=_samples(model, cfg, batch))


def _samples(model: Any, cfg: Config, batch: int) -> list[Any]:
    generator = _mask_generator(cfg)
    has_labels = hasattr(getattr(model, "head", None), "num_classes")
    if generator is None and not has_labels:
        return [BaseDataElement() for _ in range(batch)]
    from mmpretrain.registry import TRANSFORMS
    from mmpretrain.structures import DataSample

    samples = [DataSample() for _ in range(batch)]
    make_mask = TRANSFORMS.build(generator) if generator is not None else None
    for sample in samples:
        if has_labels:
            sample.set_gt_label(0)
        if make_mask is not None:
            sample.set_mask(make_mask({})["mask"])
    return samples


def _mask_generator(cfg: Config) -> dict | None:
    """Return the transform of the training pipeline that makes masks."""
    dataset = (cfg.get("train_dataloader") or {}).get("dataset") or {}
    transforms = dataset.get("pipeline") or []
    return next((x for x in transforms if str(x.get("type")).endswith("MaskGenerator")), None)

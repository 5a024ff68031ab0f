"""Extraction of image features with a model's backbone."""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..layers.pooling import pooled_features
from .inputs import are_one_size, evaluation_pipeline, model_inputs
from .pixels import Images


class Features(NamedTuple):
    """Features of a batch of images."""

    pooled: Tensor
    """Mean over all positions of the backbone's last output (B, D)."""
    maps: tuple[Tensor, ...]
    """Feature maps (B, C, H, W), one per index in the backbone's ``out_indices``; empty for a plain
    ViT for classification, whose last norm follows the pooling."""


@torch.no_grad()
def extract_features(model: Any, images: Images) -> Features:
    """Compute features of unmasked images with a model's backbone.

    Images of any kind pass through the test pipeline of the model's config and its data
    preprocessor. For pre-training configs, which have no test pipeline, their short edge is resized
    to 256 / 224 of the backbone's ``img_size``, followed by a center crop of that size.

    Args:
        model: a model of :func:`get_model`, or another one with ``backbone`` and
            ``data_preprocessor``; its training or evaluation mode is not changed.
        images: one image or a sequence of images; kinds and sizes may differ, see
            :func:`to_pixels`.

    Raises:
        FileNotFoundError: a file does not exist.
        ConfigError: the test pipeline is not supported.
        ValueError: there is no image, an image cannot be read, or images have several sizes after
            the test pipeline.
    """
    backbone = model.backbone
    samples = evaluation_pipeline(model)(images)
    if not are_one_size(samples):
        sizes = sorted({tuple(sample["inputs"].shape[1:]) for sample in samples})
        raise ValueError(
            f"images: after the test pipeline they have several sizes (H, W), such as {sizes[0]}"
            f" and {sizes[-1]}; give images of one size at a time"
        )
    batch = model_inputs(model, samples)
    maps = _unpooled(backbone)(batch)
    maps = tuple(output for output in maps if isinstance(output, Tensor) and output.ndim == 4)
    if maps and getattr(backbone, "out_type", "") in ("featmap", "avg_featmap"):
        return Features(maps[-1].mean(dim=(2, 3)), maps)
    return Features(pooled_features(backbone, batch), maps)


def _unpooled(backbone: Any) -> Any:
    """Return ``backbone``, or a copy with shared weights that does not pool its feature maps."""
    if getattr(backbone, "out_type", "") != "avg_featmap" or not hasattr(backbone, "norm"):
        return backbone
    unpooled = copy.copy(backbone)
    unpooled.out_type = "featmap"
    return unpooled

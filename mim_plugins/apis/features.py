"""Features of images."""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..evaluation.features import pooled_features
from .images import Images, evaluation_geometry, normalise, read_images


class Features(NamedTuple):
    """What a backbone makes of images."""

    pooled: Tensor
    """Mean over all positions of the last output (B, D)."""
    maps: tuple[Tensor, ...]
    """Feature maps (B, C, H, W), one per ``out_indices`` of the backbone; empty for a plain ViT
    that was built for classification, whose last norm comes after pooling."""


@torch.no_grad()
def extract_features(model: Any, images: Images) -> Features:
    """Features of images by a model's backbone, without masks.

    Images are resized and cropped as in the test pipeline of the model's config, in pre-training
    configs to the backbone's ``img_size``, and normalised with the model's mean and standard
    deviation.

    Args:
        model: what :func:`get_model` returns, or another model with ``backbone`` and
            ``data_preprocessor``. It is used in the mode that it is in.
        images: paths, PIL images, RGB arrays (H, W, 3) or RGB tensors (3, H, W), of any mix of
            sizes; one of them, or a sequence. Numbers are bytes, or floats in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no image, or one that cannot be read.
    """
    backbone = model.backbone
    geometry = evaluation_geometry(
        getattr(model, "_config", None), getattr(backbone, "img_size", (224, 224))
    )
    device = next(backbone.parameters()).device
    batch = normalise(read_images(images, *geometry), model.data_preprocessor, device)
    maps = _maps_of(backbone)(batch)
    maps = tuple(output for output in maps if isinstance(output, Tensor) and output.ndim == 4)
    if maps and getattr(backbone, "out_type", "") in ("featmap", "avg_featmap"):
        return Features(maps[-1].mean(dim=(2, 3)), maps)
    return Features(pooled_features(backbone, batch), maps)


def _maps_of(backbone: Any) -> Any:
    """``backbone``, or one with the same weights that does not pool its feature maps."""
    if getattr(backbone, "out_type", "") != "avg_featmap" or not hasattr(backbone, "norm"):
        return backbone
    unpooled = copy.copy(backbone)
    unpooled.out_type = "featmap"
    return unpooled

"""Features of images."""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..layers.pooling import pooled_features
from .inputs import are_one_size, evaluation_pipeline, model_inputs
from .pixels import Images


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

    Images go through the test pipeline of the model's config and its data preprocessor, whichever
    way they are given. In pre-training configs, which have no test pipeline, their short edge is
    resized to 256 / 224 of the backbone's ``img_size``, which is then cut out of their center.

    Args:
        model: what :func:`get_model` returns, or another model with ``backbone`` and
            ``data_preprocessor``. It is used in the mode that it is in.
        images: one image or a sequence of them, of any mix of kinds and sizes; see
            :func:`to_pixels`.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: the test pipeline cannot be followed.
        ValueError: no image, one that cannot be read, or a test pipeline that leaves images in
            several sizes.
    """
    backbone = model.backbone
    samples = evaluation_pipeline(model)(images)
    if not are_one_size(samples):
        sizes = sorted({tuple(sample["inputs"].shape[1:]) for sample in samples})
        raise ValueError(
            f"images: the test pipeline leaves them in several sizes (H, W), such as {sizes[0]} and"
            f" {sizes[-1]}; give images of one size at a time"
        )
    batch = model_inputs(model, samples)
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

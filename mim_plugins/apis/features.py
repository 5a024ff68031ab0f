"""Extraction of image features with a model's backbone."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import CorruptImageError
from .feature_batches import Progress, feature_batches
from .image_source import ImageSource


class Features(NamedTuple):
    """Features of a batch of images."""

    pooled: Tensor
    """Mean over all positions of the backbone's last output (B, D)."""
    maps: tuple[Tensor, ...]
    """Feature maps (B, C, H, W), one per index in the backbone's ``out_indices``; empty for a plain
    ViT for classification, whose last norm follows the pooling."""


def extract_features(
    model: Any,
    images: Any,
    batch_size: int = 32,
    corrupt: dict[int, str] | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Features:
    """Compute features of unmasked images with a model's backbone.

    Images of any kind pass through the test pipeline of the model's config and its data
    preprocessor. For pre-training configs, which have no test pipeline, they are resized until they
    cover 256 / 224 of the backbone's ``img_size``, followed by a center crop of that size. All
    features are returned at once; :func:`embed` writes those of many images to a file.

    Args:
        model: a model of :func:`get_model` or :func:`load`, or another one with ``backbone`` and
            ``data_preprocessor``; its training or evaluation mode is not changed.
        images: an image, a folder, a list or a sequence of images; kinds and sizes may differ, see
            :class:`ImageSource`.
        batch_size: images per batch.
        corrupt: see :func:`feature_batches`.
        workers: loading processes; 0 loads in this process.
        progress: called after each batch with the numbers of finished images and of all images.

    Raises:
        FileNotFoundError: a file does not exist, if ``corrupt`` is None.
        ConfigError: the test pipeline is not supported.
        ValueError: there is no image, an image cannot be read, or images have several sizes after
            the test pipeline.
    """
    source = ImageSource(images)
    batches = list(
        feature_batches(
            model, source, batch_size, corrupt=corrupt, workers=workers, progress=progress
        )
    )
    if not batches:
        first = next(iter((corrupt or {}).values()))
        raise CorruptImageError(f"none of {len(source)} images can be read: {first}")
    return Features(
        torch.cat([batch.pooled for batch in batches]),
        tuple(torch.cat(maps) for maps in zip(*(batch.maps for batch in batches), strict=True)),
    )

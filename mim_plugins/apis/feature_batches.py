"""Features of any number of images, batch by batch."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..backbones import BaseBackbone, PlainBackbone
from ..errors import ConfigError, CorruptImageError
from ..layers.pooling import pooled_features
from .image_pipeline import ImagePipeline
from .image_source import ImageSource
from .inputs import are_one_size, evaluation_pipeline, model_inputs

Progress = Callable[[int, int], None]
"""Function that receives the number of finished images and of all images."""


class FeatureBatch(NamedTuple):
    """Features of a batch of images."""

    indices: list[int]
    """Indices of the images in their source."""
    pooled: Tensor
    """(B, D), on the model's device."""
    maps: tuple[Tensor, ...]
    """(B, C, H, W) each; see :class:`Features`."""
    cls: Tensor | None
    """[CLS] tokens (B, D) after the last LayerNorm, if they were requested."""


@torch.no_grad()
def feature_batches(
    model: Any,
    source: ImageSource,
    batch_size: int = 32,
    with_cls: bool = False,
    corrupt: dict[int, str] | None = None,
    indices: Sequence[int] | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Iterator[FeatureBatch]:
    """Yield the features of images in order; the memory holds a few batches.

    Args:
        model: see :func:`extract_features`.
        source: the images.
        batch_size: images per batch.
        with_cls: also return [CLS] tokens, of encoders that have one.
        corrupt: receives the error message of each image that cannot be read, by index; such
            images are left out. None raises the error.
        indices: images to process; None for all.
        workers: loading processes; 0 loads in this process.
        progress: called after each batch.

    Raises:
        FileNotFoundError: a file does not exist, if ``corrupt`` is None.
        CorruptImageError: a file cannot be read, if ``corrupt`` is None.
        ConfigError: the test pipeline is not supported, or the encoder has no [CLS] token.
        ValueError: ``batch_size`` is below 1, a value is not an image, or the test pipeline
            returns several sizes.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    if with_cls:
        _check_cls(model.backbone)
    chosen = range(len(source)) if indices is None else indices
    samples = _Samples(source, evaluation_pipeline(model), chosen, corrupt is not None)
    loader = DataLoader(samples, batch_size, num_workers=workers, collate_fn=list)
    done = 0
    for batch in loader:
        done += len(batch)
        good = [(index, sample) for index, sample, _ in batch if sample is not None]
        if corrupt is not None:
            corrupt.update({index: message for index, _, message in batch if message})
        if good:
            yield _features(model, [index for index, _ in good], [s for _, s in good], with_cls)
        if progress is not None:
            progress(done, len(samples))


def _features(model: Any, indices: list[int], samples: list[dict], with_cls: bool) -> FeatureBatch:
    if not are_one_size(samples):
        sizes = sorted({tuple(sample["inputs"].shape[1:]) for sample in samples})
        raise ValueError(
            f"images: after the test pipeline they have several sizes (H, W), such as {sizes[0]}"
            f" and {sizes[-1]}; give images of one size at a time"
        )
    backbone, batch = model.backbone, model_inputs(model, samples)
    with _last_tokens(backbone if with_cls else None) as tokens:
        outputs = _unpooled(backbone)(batch)
    cls = _norm(backbone)(tokens[0][:, 0]) if tokens else None
    maps = tuple(each for each in outputs if isinstance(each, Tensor) and each.ndim == 4)
    if maps and getattr(backbone, "out_type", "") in ("featmap", "avg_featmap"):
        return FeatureBatch(indices, maps[-1].mean(dim=(2, 3)), maps, cls)
    if isinstance(backbone, BaseBackbone) and not maps:
        return FeatureBatch(indices, outputs[-1], maps, cls)
    return FeatureBatch(indices, pooled_features(backbone, batch), maps, cls)


def _check_cls(backbone: Any) -> None:
    if not isinstance(backbone, PlainBackbone) or backbone.cls_token is None:
        raise ConfigError(f"{type(backbone).__name__} has no [CLS] token; use the pooled features")
    if backbone.window_size is not None:
        raise ConfigError(
            f"{type(backbone).__name__} with window_size={backbone.window_size} has a [CLS] token"
            " per window; use the pooled features, or window_size=None"
        )


def _norm(backbone: Any) -> Any:
    return backbone.fc_norm if backbone.out_type == "avg_featmap" else backbone.norm


@contextmanager
def _last_tokens(backbone: Any) -> Iterator[list[Tensor]]:
    """Collect the output (B, 1 + L, D) of a backbone's last block, unless the backbone is None."""
    collected: list[Tensor] = []
    if backbone is None:
        yield collected
        return

    def collect(_: nn.Module, __: Any, output: Tensor) -> None:
        collected.append(output)

    handle = backbone.blocks[-1].register_forward_hook(collect)
    try:
        yield collected
    finally:
        handle.remove()


def _unpooled(backbone: Any) -> Any:
    """Return ``backbone``, or a copy with shared weights that does not pool its feature maps."""
    if getattr(backbone, "out_type", "") != "avg_featmap" or not hasattr(backbone, "norm"):
        return backbone
    unpooled = copy.copy(backbone)
    unpooled.out_type = "featmap"
    return unpooled


class _Samples(Dataset):
    """Index, prepared sample or None, and error message, of each chosen image."""

    def __init__(
        self, source: ImageSource, pipeline: ImagePipeline, indices: Sequence[int], tolerant: bool
    ) -> None:
        self.source = source
        self.pipeline = pipeline
        self.indices = indices
        self.tolerant = tolerant

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> tuple[int, dict | None, str]:
        index = self.indices[number]
        try:
            return (
                index,
                self.pipeline.prepare(self.source[index], index, self.source.name(index)),
                "",
            )
        except (CorruptImageError, FileNotFoundError) as error:
            if not self.tolerant:
                raise
            message = error.summary if isinstance(error, CorruptImageError) else str(error)
            return index, None, message

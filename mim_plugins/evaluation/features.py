"""Pooled features of labeled images, by one process or many."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import all_gather, all_gather_object, get_world_size
from mmengine.logging import print_log
from mmengine.model.utils import stack_batch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..layers.pooling import pooled_features
from .labeled_features import LabeledFeatures
from .readable_images import damage_record

_NAMED = 5


@torch.no_grad()
def extract_features(
    backbone: nn.Module,
    data_preprocessor: Callable[[dict, bool], dict],
    loader: DataLoader,
    dtype: torch.dtype = torch.float32,
    progress: Callable[[int, int], None] | None = None,
) -> LabeledFeatures:
    """Pooled features of all images of ``loader``, on the CPU.

    In a distributed run every process computes its share and all get the whole, each image once
    and in the data set's order; the loader's sampler must be MMEngine's ``DefaultSampler`` without
    shuffling. Images that :class:`ReadableImages` marks as corrupt are left out and named in a
    warning. The backbone computes in evaluation mode; its modes are restored.

    Args:
        backbone: see :func:`pooled_features`.
        data_preprocessor: the model's, called for evaluation: it normalizes and does not mix.
        loader: of batches with ``inputs`` and ``data_samples`` that have a ``gt_label``.
        dtype: of the computation; half precisions use autocast.
        progress: called with the batches done and their number.

    Raises:
        ValueError: an image without label.
    """
    device = next(backbone.parameters()).device
    features, labels, readable = [], [], []
    corrupt: dict[str, str] = {}
    with evaluation_mode(backbone):
        for step, batch in enumerate(loader, 1):
            labels.append(_labels(batch))
            records = [damage_record(sample) for sample in batch["data_samples"]]
            readable.append(torch.tensor([not record for record in records], dtype=torch.uint8))
            for record in records:
                corrupt.update(record)
            images = data_preprocessor(batch, False)["inputs"]
            if isinstance(images, list):
                images = stack_batch(images)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                pooled = pooled_features(backbone, images)
            features.append(pooled.float().cpu())
            if progress is not None:
                progress(step, len(loader))
    total = len(loader.dataset)  # type: ignore[arg-type]
    shares = (_gather_shares(torch.cat(share), total) for share in (features, labels, readable))
    all_features, all_labels, kept = shares
    _name_corrupt(corrupt, total)
    return LabeledFeatures(all_features[kept.bool()], all_labels[kept.bool()])


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode within the block; every module has its own mode again after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _labels(batch: dict[str, Any]) -> Tensor:
    samples = batch.get("data_samples") or [None]
    if any(getattr(sample, "gt_label", None) is None for sample in samples):
        raise ValueError(
            "the data set has images without a label (gt_label); give one with labels, such as"
            " mim_plugins.LabeledImageFolder"
        )
    return torch.cat([sample.gt_label.reshape(1).cpu() for sample in samples])


def _name_corrupt(corrupt: dict[str, str], total: int) -> None:
    """Name all processes' corrupt images in one warning."""
    found: dict[str, str] = {}
    for share in all_gather_object(corrupt):
        found.update(share)
    if not found:
        return
    messages = [found[path] for path in sorted(found)]
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    print_log(
        f"{len(found)} of {total} images are left out: {'; '.join(messages[:_NAMED])}{more}",
        logger="current",
        level=logging.WARNING,
    )


def _gather_shares(share: Tensor, total: int) -> Tensor:
    """Put together what each process has of every ``get_world_size()``-th item, without padding."""
    if get_world_size() == 1:
        return share
    return torch.stack(all_gather(share), dim=1).flatten(0, 1)[:total].cpu()

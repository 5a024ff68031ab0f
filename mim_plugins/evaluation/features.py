"""Extraction of pooled features of labeled images, in one or several processes."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import all_gather, all_gather_object, get_world_size
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..data_preprocessors import preprocess_for
from ..errors import ConfigError, NonFiniteFeaturesError
from ..layers.pooling import pooled_features
from .labeled_features import LabeledFeatures
from .readable_images import corruption_record

PRECISIONS = dict(float32=torch.float32, bfloat16=torch.bfloat16, float16=torch.float16)
_NAMED = 5


@torch.no_grad()
def extract_features(
    backbone: nn.Module,
    data_preprocessor: Callable[[dict, bool], dict],
    loader: DataLoader,
    dtype: torch.dtype = torch.float32,
    progress: Callable[[int, int], None] | None = None,
) -> LabeledFeatures:
    """Return pooled features of all images of ``loader``, on the CPU.

    In a distributed run each process computes a share, and all processes receive all features,
    each image once and in the order of the data set. The sampler of the loader must be MMEngine's
    ``DefaultSampler`` without shuffling. Images that :class:`ReadableImages` marks as corrupt are
    left out and named in a warning. The backbone runs in evaluation mode, and its modes are
    restored.

    Args:
        backbone: see :func:`pooled_features`.
        data_preprocessor: preprocessor of the model; in evaluation it normalizes without mixing.
        loader: yields batches with ``inputs`` and with ``data_samples`` that have a ``gt_label``.
        dtype: precision of the computation; half precisions use autocast.
        progress: receives the number of finished batches and of all batches.

    Raises:
        ValueError: an image has no label.
        NonFiniteFeaturesError: a feature is NaN or infinite; all processes raise it.
    """
    features, labels, readable = [], [], []
    corrupt: dict[str, str] = {}
    with evaluation_mode(backbone):
        for step, batch in enumerate(loader, 1):
            labels.append(_labels(batch))
            records = [corruption_record(sample) for sample in batch["data_samples"]]
            readable.append(torch.tensor([not record for record in records], dtype=torch.uint8))
            for record in records:
                corrupt.update(record)
            features.append(_batch_features(backbone, data_preprocessor, batch, dtype).cpu())
            if progress is not None:
                progress(step, len(loader))
    total = len(loader.dataset)  # type: ignore[arg-type]
    shares = (_gather_shares(torch.cat(share), total) for share in (features, labels, readable))
    all_features, all_labels, kept = shares
    _name_corrupt(corrupt, total)
    found = LabeledFeatures(all_features[kept.bool()], all_labels[kept.bool()])
    _check_finite(found.features, dtype)
    return found


@torch.no_grad()
def check_features(
    backbone: nn.Module,
    data_preprocessor: Callable[[dict, bool], dict],
    loader: DataLoader,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Pass the first image of ``loader`` through the backbone, without compilation.

    Arguments are those of :func:`extract_features`.

    Raises:
        ConfigError: the image does not fit the preprocessor or the backbone.
        CorruptImageError: no image can be read.
    """
    assert loader.collate_fn is not None
    batch = loader.collate_fn([loader.dataset[0]])
    try:
        with evaluation_mode(backbone), torch.compiler.set_stance("force_eager"):
            _batch_features(backbone, data_preprocessor, batch, dtype)
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        shape = tuple(batch["inputs"][0].shape)
        raise ConfigError(
            f"images of the shape {shape} do not pass through {type(backbone).__name__}"
            f" ({' '.join(str(error).split())}); give the data set a pipeline whose images have the"
            " channels and the size of the model's"
        ) from error


def _batch_features(
    backbone: nn.Module,
    data_preprocessor: Callable[[dict, bool], dict],
    batch: dict,
    dtype: torch.dtype,
) -> Tensor:
    images = preprocess_for(backbone, data_preprocessor, batch)
    with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
        return pooled_features(backbone, images).float()


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Set evaluation mode within the block and restore the mode of each module after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _check_finite(features: Tensor, dtype: torch.dtype) -> None:
    broken = int((~features.isfinite()).any(dim=1).sum())
    if not broken:
        return
    remedy = (
        "check the weights, and pixels that are not finite"
        if dtype == torch.float32
        else "compute them in float32, and check the weights if they are not finite then"
    )
    precision = str(dtype).removeprefix("torch.")
    raise NonFiniteFeaturesError(
        f"{broken} of {len(features)} images have features in {precision} that are NaN or infinite,"
        f" so no accuracy is known: {remedy}"
    )


def _labels(batch: dict[str, Any]) -> Tensor:
    samples = batch.get("data_samples") or [None]
    if any(getattr(sample, "gt_label", None) is None for sample in samples):
        raise ValueError(
            "the data set contains images without a label (gt_label); use one with labels, such as"
            " mim_plugins.LabeledImageFolder"
        )
    return torch.cat([sample.gt_label.reshape(1).cpu() for sample in samples])


def _name_corrupt(corrupt: dict[str, str], total: int) -> None:
    """Warn once of the corrupt images of all processes."""
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
    """Interleave the shares of all processes, which take turns, and drop the padding."""
    if get_world_size() == 1:
        return share
    return torch.stack(all_gather(share), dim=1).flatten(0, 1)[:total].cpu()

"""Batch sizes that fit the memory of a GPU, from modeled peaks."""

import copy
from typing import NamedTuple

import torch
from mmengine.config import Config

from mim_plugins.analysis import build_on_meta

from .gpu_cost import training_cost

RESERVE = 0.1
"""Share of the memory for CUDA, cuBLAS and fragmentation."""
_SMALLEST_PLAIN, _SMALLEST = 32, 4


class GpuFit(NamedTuple):
    """Largest batch that fits a GPU, and whether it needs gradient checkpointing."""

    batch: int
    """0 if no batch of at least 4 images fits."""
    with_cp: bool


def fit_memory(
    cfg: Config,
    batch: int,
    img_size: tuple[int, int],
    dtype: torch.dtype,
    memories: list[float],
) -> list[GpuFit]:
    """Return the largest of ``batch``, its half, its quarter and so on that fits each memory.

    Gradient checkpointing computes the forward pass twice. It is chosen if less than 32 images, or
    less than a smaller ``batch``, fit without it, because launches limit such small steps.

    Args:
        cfg: config of a pre-training or fine-tuning.
        batch: largest number of images, at least 4.
        img_size: (H, W), in pixels.
        dtype: precision of autocast; float32 for none.
        memories: bytes of the GPUs.
    """
    plain = _peaks(cfg, batch, img_size, dtype)
    with_cp = bool(cfg.model.backbone.get("with_cp"))
    found = [GpuFit(_largest(plain, batch, memory), with_cp) for memory in memories]
    too_small = min(_SMALLEST_PLAIN, batch)
    if with_cp or all(fit.batch >= too_small for fit in found):
        return found
    checkpointed = copy.deepcopy(cfg)
    checkpointed.model.backbone.with_cp = True
    saving = _peaks(checkpointed, batch, img_size, dtype)
    return [
        fit if fit.batch >= too_small else GpuFit(_largest(saving, batch, memory), True)
        for fit, memory in zip(found, memories, strict=True)
    ]


def _peaks(
    cfg: Config, batch: int, img_size: tuple[int, int], dtype: torch.dtype
) -> tuple[float, float]:
    """Return the bytes of a step that do not depend on the batch, and the bytes per image."""
    small = max(batch // 4, 2)
    ends = []
    for count in (small, batch):
        torch.manual_seed(0)  # the mask determines what attention saves
        cost = training_cost(build_on_meta(cfg), cfg, count, img_size, dtype)
        ends.append(cost.peak_bytes)
    per_image = (ends[1] - ends[0]) / (batch - small)
    return ends[1] - per_image * batch, per_image


def _largest(peaks: tuple[float, float], batch: int, memory: float) -> int:
    fixed, per_image = peaks
    while batch >= _SMALLEST:
        if fixed + per_image * batch <= (1 - RESERVE) * memory:
            return batch
        batch //= 2
    return 0

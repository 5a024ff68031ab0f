"""Sampler that mixes data sets with weights."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import DefaultSampler

from ..registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class MixtureSampler(DefaultSampler):
    """Sampler of a ``ConcatDataset`` that repeats or thins out each part by a weight.

    An epoch contains ``round(weight * N)`` images of a part of N images. They are the next ones in
    an endless sequence of shuffled passes over the part. No image is therefore seen a second time
    before all have been seen once, and a part of weight 0.5 is read completely in two epochs. The
    images of an epoch depend on seed and epoch alone, so runs resume exactly.

    Args:
        dataset: a ``ConcatDataset``.
        weights: mean number of times that an epoch contains each image, for each part.
        seed: seed, the same on all processes; None draws and shares one.
        shuffle: shuffle the parts and the epoch.
        round_up: add samples so that all processes have equally many.

    Raises:
        ValueError: the data set has no parts, or the weights are not one positive number each.
    """

    def __init__(
        self,
        dataset: Any,
        weights: Sequence[float],
        seed: int | None = None,
        shuffle: bool = True,
        round_up: bool = True,
    ) -> None:
        parts = getattr(dataset, "datasets", None)
        if parts is None:
            raise ValueError(
                f"MixtureSampler: {type(dataset).__name__} has no parts; use it with"
                " dict(type='ConcatDataset', datasets=[...])"
            )
        if len(parts) != len(weights):
            raise ValueError(
                f"MixtureSampler: weights={list(weights)} are {len(weights)} numbers for"
                f" {len(parts)} data sets; give one for each"
            )
        self.sizes = [len(part) for part in parts]
        self.counts = [
            mixed_count(size, weight) for size, weight in zip(self.sizes, weights, strict=True)
        ]
        super().__init__(dataset, shuffle, seed, round_up)
        length = sum(self.counts)
        own = length if round_up else length - self.rank
        self.num_samples = math.ceil(own / self.world_size)
        self.total_size = self.num_samples * self.world_size if round_up else length

    def __iter__(self) -> Iterator[int]:
        """Return the indices of this process in the current epoch."""
        starts = np.cumsum([0, *self.sizes[:-1]])
        chosen = [start + self._of_part(part) for part, start in enumerate(starts)]
        indices = np.concatenate(chosen)
        if self.shuffle:
            generator = torch.Generator()
            generator.manual_seed(self.seed + self.epoch)
            indices = indices[torch.randperm(len(indices), generator=generator).numpy()]
        indices = np.resize(indices, self.total_size)  # repeats the first ones
        return iter(indices[self.rank :: self.world_size].tolist())

    def _of_part(self, part: int) -> np.ndarray:
        """Return the images of a part that the current epoch contains."""
        size, count = self.sizes[part], self.counts[part]
        at, end = self.epoch * count, (self.epoch + 1) * count
        pieces = []
        while at < end:
            number, first = divmod(at, size)
            last = min(size, first + end - at)
            pieces.append(self._pass(part, number)[first:last])
            at += last - first
        return np.concatenate(pieces)

    def _pass(self, part: int, number: int) -> np.ndarray:
        """Return the order of a pass over a part."""
        size = self.sizes[part]
        if not self.shuffle:
            return np.arange(size)
        return np.random.default_rng([self.seed, part, number]).permutation(size)


def mixed_count(images: int, weight: float) -> int:
    """Return the number of images in an epoch of a part with a weight.

    Raises:
        ValueError: the weight is not a positive number, or leaves no image.
    """
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not is_number or not 0 < weight < math.inf:
        raise ValueError(f"weight {weight!r} must be a number above 0")
    count = round(images * weight)
    if count < 1:
        raise ValueError(f"weight {weight:g} leaves none of {images} images")
    return count

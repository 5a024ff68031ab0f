"""Batch sampler that starts at any position of a run."""

import copy
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from mmengine.dist import get_rank
from torch.utils.data import Sampler

from ..batch_images import images_per_batch
from .ordered_batches import OrderedBatches, order_rank
from .sampler_history import SamplerHistory
from .sampler_parts import SamplerParts
from .seeded_batch import SeededBatch


class PositionedBatchSampler(Sampler):
    """Batches of another batch sampler, starting at any batch of any epoch.

    The global generators are seeded for each batch and not restored, which its reader does. Past
    batches are skipped as indices, without reading any image. Samplers run to the end of each
    epoch, including the code after their last index, see :class:`SamplerHistory`.

    Args:
        batch_sampler: PyTorch's ``BatchSampler`` or a similar class.
        endless: continue with the next epoch when one ends.
        generator: generator of the loader, from which PyTorch draws a seed of the workers per
            epoch. The samplers may draw from it, too.
        persistent: the workers start once, so there is one such seed.
        dataset: data set of the loader, which copies of the samplers share.

    Attributes:
        seed: seed of the run. Augmentations depend on it, the rank, the epoch and the position
            within the epoch.
        ranks_differ: ``randomness.diff_rank_seed`` of the run, see :func:`order_rank`.
        heartbeat: function that is called at the start of each epoch, also of past ones that a
            resumed run draws again.
    """

    def __init__(
        self,
        batch_sampler: Any,
        endless: bool = False,
        generator: torch.Generator | None = None,
        persistent: bool = False,
        dataset: Any = None,
    ) -> None:
        self.batch_sampler = batch_sampler
        self._dataset = dataset
        self.endless = endless
        self.seed = 0
        self.ranks_differ = False
        self.heartbeat: Callable[[], object] | None = None
        self._rank = get_rank()
        self._epoch = self._start = 0
        self._generator, self._persistent = generator, persistent
        self._take_state()

    def reset(self) -> None:
        """Give the samplers the state in which they began, as the first one of another training.

        Raises:
            ConfigError: see :meth:`SamplerSnapshot.restore`.
        """
        self._history.restore()
        self._take_state()

    def _take_state(self) -> None:
        """Take the present state of the samplers for the first one of the run."""
        self._history = SamplerHistory(self.batch_sampler, self._dataset)
        self._length: int | None = None

    @property
    def parts(self) -> SamplerParts:
        """Samplers and what they contain."""
        return self._history.parts

    @property
    def sampler(self) -> Any:
        """Sampler of single indices, whose epoch MMEngine's hooks set."""
        return getattr(self.batch_sampler, "sampler", self.batch_sampler)

    @property
    def batch_size(self) -> int | None:
        """Samples per batch, None if the batch sampler defines none, or several."""
        return images_per_batch(self.batch_sampler)

    @property
    def drop_last(self) -> bool:
        """True if an incomplete last batch is dropped."""
        return getattr(self.batch_sampler, "drop_last", False)

    def __len__(self) -> int:
        """Return the number of batches of the current epoch."""
        if self._length is None:
            self._length = self._history.length()
        return self._length

    def set_position(self, epoch: int, batch: int) -> None:
        """Start the next iteration at this batch; if endless, it may lie in a later epoch."""
        self._epoch, self._start = epoch, batch

    def separate(self) -> "PositionedBatchSampler":
        """Return an independent sampler of the same batches, for another reader of the data."""
        other = copy.copy(self)
        other.batch_sampler, other._generator = self._history.copies(
            self.batch_sampler, self._generator
        )
        other._take_state()
        return other

    def __iter__(self) -> Iterator[SeededBatch]:
        """Yield the batches from the position of :meth:`set_position`."""
        epoch, start = self._epoch, self._start
        self._history.begin(epoch, self._run_through)
        while True:
            batches = self._batches_of(epoch)
            # an epoch ends after its length, even if the sampler yields more
            done = batches.skip(start if self.endless else min(start, len(self)))
            rest = None if self.endless else len(self) - done
            for indices in islice(batches, rest):
                batch = SeededBatch(indices, (self.seed, self._rank, epoch, done))
                batch.seed()  # without workers, the loader reads it next in this process
                yield batch
                done += 1
            if not self.endless:
                batches.finish()
                self._history.end(epoch)
                return
            if not done:
                raise ValueError(
                    "the training set has fewer images than one batch; set"
                    " train_dataloader.batch_size to a smaller number"
                )
            epoch, start = epoch + 1, max(start - done, 0)

    def _run_through(self, epoch: int) -> None:
        """Draw the indices of an epoch, as its training does."""
        batches = self._batches_of(epoch)
        batches.skip(len(self))
        batches.finish()

    def _batches_of(self, epoch: int) -> OrderedBatches:
        if self.heartbeat is not None:
            self.heartbeat()
        self._history.set_epoch(epoch)
        if not self.endless:
            # once per epoch, so indices that it draws are a part of the order
            self._length = len(self.batch_sampler)
        rank = order_rank(self.batch_sampler, self._rank, self.ranks_differ)
        batches = OrderedBatches(self.batch_sampler, self.seed, rank, epoch, self.parts)
        if any(self._generator is each for each in self.parts.generators) and (
            epoch == 0 or not self._persistent
        ):
            torch.empty((), dtype=torch.int64).random_(generator=self._generator)
        return batches

"""Batch sampler that starts where a run was stopped."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mmengine.dist import get_rank
from torch.utils.data import Sampler

from .seeded_batch import SeededBatch


class PositionedBatchSampler(Sampler):
    """Batches of another batch sampler, from any batch of any epoch on.

    Skipping costs indices, no image is read.

    Args:
        batch_sampler: PyTorch's ``BatchSampler`` or one like it.
        endless: go on with the next epoch when one is over.

    Attributes:
        seed: of the run; augmentations follow from it, the rank, the epoch and the place in it.
    """

    def __init__(self, batch_sampler: Any, endless: bool = False) -> None:
        self.batch_sampler = batch_sampler
        self.endless = endless
        self.seed = 0
        self._rank = get_rank()
        self._epoch = self._start = 0

    @property
    def sampler(self) -> Any:
        """The sampler of single indices; hooks set its epoch."""
        return getattr(self.batch_sampler, "sampler", self.batch_sampler)

    @property
    def batch_size(self) -> int | None:
        """Samples per batch, where the batch sampler says so."""
        return getattr(self.batch_sampler, "batch_size", None)

    @property
    def drop_last(self) -> bool:
        """Whether an incomplete last batch is left out."""
        return getattr(self.batch_sampler, "drop_last", False)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.batch_sampler)

    def set_position(self, epoch: int, batch: int) -> None:
        """Let the next iteration begin with this batch; if endless, it may be of a later epoch."""
        self._epoch, self._start = epoch, batch

    def __iter__(self) -> Iterator[SeededBatch]:
        """Batches from where :meth:`set_position` said."""
        epoch, start = self._epoch, self._start
        while True:
            batch = -1
            # an epoch ends with its length, whatever the sampler gives
            stop = None if self.endless else len(self)
            for batch, indices in enumerate(islice(self._batches_of(epoch), stop)):
                if batch >= start:
                    yield SeededBatch(indices, (self.seed, self._rank, epoch, batch))
            if not self.endless:
                return
            if batch < 0:
                raise ValueError(
                    "the training set has fewer images than one batch; set"
                    " train_dataloader.batch_size to a smaller number"
                )
            epoch, start = epoch + 1, max(start - batch - 1, 0)

    def _batches_of(self, epoch: int) -> Iterable[list]:
        for sampler in (self.sampler, self.batch_sampler):
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)
        return self.batch_sampler

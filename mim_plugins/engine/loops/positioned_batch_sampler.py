"""Batch sampler that starts at any position of a run."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mmengine.dist import get_rank
from torch.utils.data import Sampler

from .seeded_batch import SeededBatch


class PositionedBatchSampler(Sampler):
    """Batches of another batch sampler, starting at any batch of any epoch.

    Past batches are skipped as indices, without reading any image.

    Args:
        batch_sampler: PyTorch's ``BatchSampler`` or a similar class.
        endless: continue with the next epoch when one ends.

    Attributes:
        seed: seed of the run. Augmentations depend on it, the rank, the epoch and the position
            within the epoch.
    """

    def __init__(self, batch_sampler: Any, endless: bool = False) -> None:
        self.batch_sampler = batch_sampler
        self.endless = endless
        self.seed = 0
        self._rank = get_rank()
        self._epoch = self._start = 0

    @property
    def sampler(self) -> Any:
        """Sampler of single indices, whose epoch MMEngine's hooks set."""
        return getattr(self.batch_sampler, "sampler", self.batch_sampler)

    @property
    def batch_size(self) -> int | None:
        """Samples per batch, None if the batch sampler does not define it."""
        return getattr(self.batch_sampler, "batch_size", None)

    @property
    def drop_last(self) -> bool:
        """True if an incomplete last batch is dropped."""
        return getattr(self.batch_sampler, "drop_last", False)

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return len(self.batch_sampler)

    def set_position(self, epoch: int, batch: int) -> None:
        """Start the next iteration at this batch; if endless, it may lie in a later epoch."""
        self._epoch, self._start = epoch, batch

    def __iter__(self) -> Iterator[SeededBatch]:
        """Yield the batches from the position of :meth:`set_position`."""
        epoch, start = self._epoch, self._start
        while True:
            batch = -1
            # an epoch ends after its length, even if the sampler yields more
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

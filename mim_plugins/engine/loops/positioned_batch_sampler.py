"""Batch sampler that starts at any position of a run."""

import copy
import sys
from collections.abc import Callable, Iterator
from itertools import chain, count, islice
from typing import Any

from mmengine.dist import get_rank
from mmengine.logging import MessageHub, print_log
from torch.utils.data import Sampler

from ...errors import ConfigError
from ..batch_images import images_per_batch
from .sampler_parts import find_parts, is_function_of_epoch, nested_samplers
from .sampler_seeds import load_sampler_seeds
from .sampler_snapshot import SamplerSnapshot, begin_endless
from .sampler_stream import SamplerStream, order_rank
from .seeded_batch import SeededBatch

_ORDER = 2**32 - 1  # last number of the key; samples have their batch there, which is smaller


class PositionedBatchSampler(Sampler):
    """Batches of another batch sampler, starting at any batch of any epoch.

    The global generators are seeded for each batch and not restored, which its reader does. Past
    batches are skipped as indices, without reading any image.

    Samplers may continue random generators, count epochs or keep indices for a later epoch. A
    resumed run therefore draws all earlier epochs again, exactly as a training does: from
    ``set_epoch``, which this class calls once per epoch, to the code after the last index, in the
    same stream of random numbers. Past epochs of samplers of OpenMMLab and PyTorch without a
    generator are left out if their order depends on the epoch alone.

    Args:
        batch_sampler: PyTorch's ``BatchSampler`` or a similar class.
        endless: continue with the next epoch when one ends.
        dataset: data set of the loader, which copies of the samplers share.

    Attributes:
        epoch: epoch of the position.
        parts: samplers and what they contain.
        seed: seed of the run. Augmentations depend on it, the rank, the epoch and the position
            within the epoch.
        ranks_differ: ``randomness.diff_rank_seed`` of the run, see :func:`order_rank`.
        heartbeat: function that is called at the start of each epoch, also of past ones that a
            resumed run draws again.
    """

    _first: SamplerSnapshot | None
    _reached: int  # epoch at whose start the samplers are; within an epoch, the largest number
    _begun: int | None  # epoch of :meth:`begin` whose iteration follows

    def __init__(self, batch_sampler: Any, endless: bool = False, dataset: Any = None) -> None:
        self.batch_sampler = batch_sampler
        self._dataset = dataset
        self.endless = endless
        self.seed = 0
        self.ranks_differ = False
        self.heartbeat: Callable[[], object] | None = None
        self._rank = get_rank()
        self.epoch = self._start = 0
        self._length: int | None = None
        self._find_parts()

    def load_seeds(self, hub: MessageHub) -> bool:
        """Begin another training, with the seeds and generators in the message hub of its run.

        Returns:
            True if all processes have the same seeds and generators.

        Raises:
            CheckpointError: see :func:`load_sampler_seeds`.
            ConfigError: see :meth:`SamplerSnapshot.restore`.
        """
        if self._reached != 0:
            self._restore()
        self._find_parts()
        agree = load_sampler_seeds(self.parts, hub)
        self._first_state()  # before hooks change it
        return agree

    @property
    def sampler(self) -> Any:
        """Sampler of single indices, which hooks may read and change."""
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
        """Return the number of batches of the current epoch; of the start, if endless."""
        return self._measure() if self._length is None else self._length

    def set_position(self, epoch: int, batch: int) -> None:
        """Start the next iteration at this batch; if endless, it may lie in a later epoch."""
        self.epoch, self._start = epoch, batch

    def separate(self) -> "PositionedBatchSampler":
        """Return an independent sampler of single epochs, for another reader of the data.

        It is at the start of the same epoch if the order depends on the epoch alone. Otherwise it
        is at the start of the run, because past epochs would have to be drawn again.

        Raises:
            ConfigError: see :meth:`SamplerSnapshot.restore`.
        """
        other = copy.copy(self)
        other.endless = False
        other.batch_sampler = self._first_state().copy_of(self.batch_sampler)
        other._find_parts()
        other.set_position(self.epoch if is_function_of_epoch(self.parts) else 0, 0)
        return other

    def begin(self) -> None:
        """Bring the samplers to the start of the epoch of the position.

        Its iteration continues from there, so hooks may change the samplers in between.
        """
        for epoch in range(self._rewind(), self.epoch):
            self._set_epoch(epoch)
            batches = self._batches()
            self._skip(batches, sys.maxsize if self.endless else len(self))
            self._skip(batches, 1)
        self._set_epoch(self.epoch)
        self._begun = self.epoch

    def __iter__(self) -> Iterator[SeededBatch]:
        """Yield the batches from the position of :meth:`set_position`."""
        if self._begun != self.epoch:
            self.begin()
        self._begun = None
        first, start = self.epoch, self._start
        for epoch in count(first):
            if epoch > first:
                self._set_epoch(epoch)
            batches = self._batches()
            # an epoch ends after its length, even if the sampler yields more
            length = sys.maxsize if self.endless else len(self)
            done = self._skip(batches, min(start, length))
            while done < length and (indices := self._next(batches)) is not None:
                batch = SeededBatch(indices, (self.seed, self._rank, epoch, done))
                batch.seed()  # without workers, the loader reads it next in this process
                yield batch
                done += 1
            self._skip(batches, 1)  # code of the sampler after its last batch
            self._reached = epoch + 1
            if not self.endless:
                return
            if not done:
                raise ConfigError(
                    f"train_dataloader: {type(self.sampler).__name__} yields no batch in epoch"
                    f" {epoch + 1}; use another sampler"
                )
            start = max(start - done, 0)

    def _set_epoch(self, epoch: int) -> None:
        """Start an epoch, whether it is trained on or drawn again."""
        if self.heartbeat is not None:
            self.heartbeat()
        rank = order_rank(self.batch_sampler, self._rank, self.ranks_differ)
        self._stream.seed(self.seed, rank, epoch, _ORDER)
        with self._stream.entered():
            for sampler in reversed(self.parts.samplers):
                if hasattr(sampler, "set_epoch"):
                    sampler.set_epoch(epoch)
        if not self.endless:
            self._length = None

    def _batches(self) -> Iterator[list]:
        """Return the batches of the epoch that has been started."""
        if not self.endless:
            self._measure()
        return chain(self.batch_sampler)  # does not request more from an iterator that has ended

    def _measure(self) -> int:
        """Measure the length, which may draw indices: those of the order that follows."""
        with self._stream.entered(keep=False):
            self._length = len(self.batch_sampler)
        return self._length

    def _next(self, batches: Iterator[list]) -> list | None:
        with self._stream.entered():
            return next(batches, None)

    def _skip(self, batches: Iterator[list], number: int) -> int:
        """Skip up to ``number`` batches and return their number, which is less at the end."""
        with self._stream.entered():
            return sum(1 for _ in islice(batches, number))

    def _rewind(self) -> int:
        """Return the epoch from which the samplers are run to reach the start of the position's."""
        self._first_state()
        if self._reached > self.epoch:
            self._restore()
        begin = self.epoch if is_function_of_epoch(self.parts) else self._reached
        self._reached = sys.maxsize
        if self.epoch - begin > 1:
            print_log(f"drawing the indices of {self.epoch - begin} earlier epochs", "current")
        return begin

    def _find_parts(self) -> None:
        self.parts = find_parts(self.batch_sampler, self._dataset)
        self._stream = SamplerStream(self.parts)
        self._first, self._reached, self._begun = None, 0, None

    def _first_state(self) -> SamplerSnapshot:
        """Return the first state of the samplers, which is the present one before any epoch."""
        if self._first is None:
            for each in self.parts.objects:
                begin_endless(each)  # another reader may have advanced it
            self._first = SamplerSnapshot(self.parts)
            self._stream = SamplerStream(self.parts)
        return self._first

    def _restore(self) -> None:
        self._first_state().restore()
        self.parts = self.parts._replace(chain=nested_samplers(self.batch_sampler))
        self._stream = SamplerStream(self.parts)
        self._reached = 0

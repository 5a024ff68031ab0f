"""State of samplers that depends on earlier epochs."""

from collections.abc import Callable
from typing import Any

from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log
from torch.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from ...errors import ConfigError
from .sampler_parts import SamplerParts, find_parts
from .sampler_snapshot import SamplerSnapshot, begin_endless

_WITHOUT_STATE = (
    BatchSampler,
    DefaultSampler,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


class SamplerHistory:
    """Moves samplers to the start of an epoch, with the state that earlier epochs leave.

    Samplers may continue random generators, count epochs or keep indices for a later epoch. When a
    run is resumed, the indices of all earlier epochs are therefore drawn again, without reading any
    image. The samplers of PyTorch, MMEngine, mmpretrain and this package need no history, unless
    they store a generator.

    Args:
        batch_sampler: PyTorch's ``BatchSampler`` or a similar class.
        dataset: data set of its loader.
    """

    def __init__(self, batch_sampler: Any, dataset: Any = None) -> None:
        self._outermost, self._dataset = batch_sampler, dataset
        self._find_parts()
        self._initial: SamplerSnapshot | None = None  # seeds are set after construction
        self._epoch: int | None = 0  # whose start the samplers have reached; None within an epoch

    @property
    def parts(self) -> SamplerParts:
        """Samplers and what they contain."""
        return self._parts

    def begin(self, epoch: int, run: Callable[[int], object]) -> None:
        """Move the samplers to the start of ``epoch``.

        Args:
            epoch: number of complete epochs.
            run: function that draws all indices of an epoch.
        """
        if self._initial is None and not self._epoch:
            self._find_parts()
        if not self._has_state():
            return
        self._first_state()
        if self._epoch is None or self._epoch > epoch:
            self.restore()
        reached = self._epoch or 0
        if epoch - reached > 1:
            print_log(f"drawing the indices of {epoch - reached} earlier epochs", "current")
        for past in range(reached, epoch):
            self.set_epoch(past)
            run(past)
        self._epoch = None

    def end(self, epoch: int) -> None:
        """Record that all indices of ``epoch`` have been drawn."""
        self._epoch = epoch + 1

    def restore(self) -> None:
        """Give the samplers their first state, if any indices have been drawn.

        Raises:
            ConfigError: see :meth:`SamplerSnapshot.restore`.
        """
        if self._epoch != 0 and self._initial is not None and self._has_state():
            self._initial.restore()
            self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of all samplers that have one."""
        for sampler in reversed(self._parts.objects):
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(epoch)

    def length(self) -> int:
        """Return the length of the batch sampler, of a copy because it may draw indices."""
        sampler = self._outermost
        if self._has_state():
            try:
                (sampler,) = SamplerSnapshot(self._parts).copies(sampler)
            except ConfigError:  # it cannot be copied
                sampler = self._outermost
        return len(sampler)

    def copies(self, *originals: Any) -> list[Any]:
        """Return copies of samplers and generators in their first state, sharing the data set.

        Raises:
            ConfigError: a sampler cannot be copied, see :meth:`SamplerSnapshot.restore`.
        """
        return self._first_state().copies(*originals)

    def _find_parts(self) -> None:  # again before they are used, since hooks may change them
        self._parts = find_parts(self._outermost, self._dataset)

    def _first_state(self) -> SamplerSnapshot:
        if self._initial is None:
            self._find_parts()
            for each in self._parts.objects:
                begin_endless(each)  # another reader may have advanced it
            self._initial = SamplerSnapshot(self._parts)
        return self._initial

    def _has_state(self) -> bool:
        return bool(self._parts.generators) or not all(map(_is_stateless, self._parts.objects))


def _is_stateless(sampler: Any) -> bool:
    """Return whether the order of a sampler depends on its seed, generator and epoch alone."""
    package = type(sampler).__module__.partition(".")[0]
    return type(sampler) in _WITHOUT_STATE or package in ("mim_plugins", "mmpretrain")

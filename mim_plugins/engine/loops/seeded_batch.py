"""Batch of indices that seeds the augmentation of each sample."""

from collections.abc import Iterator

from ...randomness import seed_generators


class SeededBatch(list):
    """Indices of one batch; iterating over them seeds the random generators for each sample.

    PyTorch's data loader reads the samples of a batch one after another in the same process.
    Seeding between them makes an augmentation a function of the sample's key alone, independent of
    the number and lifetime of the workers and of earlier samples. Data sets may also read all
    samples at once (``__getitems__``), and ``collate_fn`` may draw numbers, such as those of Mixup.
    They draw from a stream of the batch.

    Args:
        indices: indices of the samples.
        key: key of the batch within the run; the key of a sample adds its position in the batch.
    """

    def __init__(self, indices: list, key: tuple[int, ...]) -> None:
        super().__init__(indices)
        self.key = key

    def seed(self) -> None:
        """Seed the generators for the batch as a whole, before and after its samples."""
        seed_generators(*self.key, len(self))

    def __iter__(self) -> Iterator:
        """Yield the indices, each after seeding the generators for it."""
        for position, index in enumerate(super().__iter__()):
            seed_generators(*self.key, position)
            yield index
        self.seed()

    def __reduce__(self) -> tuple:
        """Pickle the batch for a worker, which seeds its generators when it receives it."""
        # pickling a list iterates over it, which would seed the generators here
        return _receive, (self[:], self.key)


def _receive(indices: list, key: tuple[int, ...]) -> SeededBatch:
    batch = SeededBatch(indices, key)
    batch.seed()
    return batch

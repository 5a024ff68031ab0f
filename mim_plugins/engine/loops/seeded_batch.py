"""Batch of indices that seeds the augmentation of each sample."""

from collections.abc import Iterator

from ...randomness import preserved_random_state, seed_generators


class SeededBatch(list):
    """Indices of one batch; iterating over them seeds the random generators for each sample.

    PyTorch's data loader reads the samples of a batch one after another in the same process.
    Seeding between them makes an augmentation a function of the sample's key alone, independent of
    the number and lifetime of the workers and of earlier samples. Afterwards the global generators
    are restored.

    Args:
        indices: indices of the samples.
        key: key of the batch within the run; the key of a sample adds its position in the batch.
    """

    def __init__(self, indices: list, key: tuple[int, ...]) -> None:
        super().__init__(indices)
        self.key = key

    def __iter__(self) -> Iterator:
        """Yield the indices, each after seeding the generators for it."""
        with preserved_random_state(cuda=False):
            for position, index in enumerate(super().__iter__()):
                seed_generators(*self.key, position)
                yield index

    def __reduce__(self) -> tuple:
        """Pickle the batch for a worker."""
        # pickling a list iterates over it, which would seed the generators
        return SeededBatch, (self[:], self.key)

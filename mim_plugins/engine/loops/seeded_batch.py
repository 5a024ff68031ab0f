"""Indices of a batch that bring the seeds of their augmentations along."""

from collections.abc import Iterator

from ...randomness import preserved_random_state, seed_generators


class SeededBatch(list):
    """Indices of one batch; who goes through them draws each sample's own random numbers.

    PyTorch's data loader asks the data set for one index after the other, in whichever process, so
    that seeding between them makes a sample's augmentation a function of its key alone: the number
    of workers, their life time and the samples before it do not matter. Afterwards the global
    generators are as they were.

    Args:
        indices: of the samples.
        key: of the batch, in the run; a sample's key adds its place in the batch.
    """

    def __init__(self, indices: list, key: tuple[int, ...]) -> None:
        super().__init__(indices)
        self.key = key

    def __iter__(self) -> Iterator:
        """Indices, with the generators seeded for each."""
        with preserved_random_state(cuda=False):
            for place, index in enumerate(super().__iter__()):
                seed_generators(*self.key, place)
                yield index

    def __reduce__(self) -> tuple:
        """How a batch travels to a worker."""
        # pickle would go through the indices, and seed
        return SeededBatch, (self[:], self.key)

import pickle
import random

import pytest

from mim_plugins.engine.loops.seeded_batch import SeededBatch


def draws_of(batch):
    return [(index, random.random()) for index in batch]


def test_each_sample_has_its_own_random_numbers():
    batch = SeededBatch([4, 7, 4], key=(1, 2))
    drawn = draws_of(batch)
    assert [index for index, _ in drawn] == [4, 7, 4]
    assert len({number for _, number in drawn}) == 3
    random.seed(99)
    assert draws_of(pickle.loads(pickle.dumps(batch))) == drawn
    assert draws_of(SeededBatch([4, 7, 4], key=(1, 3))) != drawn


def test_generators_are_restored_even_after_an_error():
    state = random.getstate()
    draws_of(SeededBatch([1, 2], key=(0,)))
    with pytest.raises(KeyError):
        [{}[index] for index in SeededBatch([1, 2], key=(0,))]
    assert random.getstate() == state

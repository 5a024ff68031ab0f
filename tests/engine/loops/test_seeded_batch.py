import pickle
import random

import numpy as np

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


def test_batch_has_random_numbers_beside_those_of_its_samples():
    batch = SeededBatch([4, 7, 4], key=(1, 2))
    content = pickle.dumps(batch)
    random.seed(99)
    pickle.loads(content)  # in a worker
    drawn = random.random()
    samples = draws_of(batch)
    assert random.random() == drawn
    assert drawn not in {number for _, number in samples}
    SeededBatch([4, 7, 4], key=(1, 3)).seed()
    assert random.random() != drawn


def test_pickling_a_batch_draws_nothing():
    random.seed(99)
    np.random.seed(99)
    states = random.getstate(), np.random.get_state()[1].tolist()
    pickle.dumps(SeededBatch([4, 7], key=(1,)))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states

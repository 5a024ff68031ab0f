import itertools

import pytest
from mmengine.dataset import InfiniteSampler
from stateful_samplers import EPOCHS, SAMPLERS, Two, batches_of_run, epoch_of, loader
from torch.utils.data import DataLoader

from mim_plugins.engine.loops import ResumableDataLoader


@pytest.mark.parametrize("name", SAMPLERS)
def test_orders_equal_those_of_pytorch_and_resume(name):
    plain = DataLoader(list(range(64)), 4, sampler=SAMPLERS[name]())
    whole = [[batch.tolist() for batch in plain] for _ in range(EPOCHS)]
    assert len({str(each) for each in whole}) == EPOCHS
    some = loader(name)
    assert [epoch_of(some, epoch) for epoch in range(EPOCHS)] == whole
    assert epoch_of(loader(name), 2, 1) == whole[2][1:]
    assert epoch_of(some, 1) == whole[1]  # begun again
    endless = loader(name, endless=True).iter_from(0, 3)
    assert [next(endless).tolist() for _ in range(3)] == [whole[1][1], *whole[2]]


@pytest.mark.parametrize("name", SAMPLERS)
def test_other_readers_leave_the_order_unchanged(name):
    expected = [epoch_of(loader(name), epoch) for epoch in range(EPOCHS)]
    some, actual = loader(name), []
    for epoch in range(EPOCHS):
        actual.append([])
        for batch in some.iter_from(epoch, 0):
            actual[-1].append(batch.tolist())
            assert [other.tolist() for other in some] == expected[0]
    assert actual == expected


class Listed(InfiniteSampler):
    """Subclass whose ``indices`` are a list."""

    def __init__(self):
        super().__init__(range(8), seed=0)
        self.indices = [1, 3, 5]

    def __iter__(self):
        yield from itertools.cycle(self.indices)


class Changed(InfiniteSampler):
    """Subclass with another order, from the iterator that the class stores."""

    def __init__(self):
        super().__init__(range(8), seed=0)

    def _indices_of_rank(self):
        yield from itertools.cycle([7, 5, 3])


class Pieces(Changed):
    """Subclass that ends each epoch, and continues its order with the next one."""

    _indices_of_rank = InfiniteSampler._indices_of_rank

    def __iter__(self):
        yield from itertools.islice(self.indices, 4)

    def __len__(self):
        return 4


@pytest.mark.parametrize("make", [Listed, Changed, Pieces])
def test_subclasses_of_endless_samplers_keep_their_indices(make):
    def begin(start):
        some = ResumableDataLoader(DataLoader(list(range(8)), 3, sampler=make()), endless=True)
        return some, (batch.tolist() for batch in some.iter_from(0, start))

    repeated = itertools.chain.from_iterable(
        DataLoader(list(range(8)), 3, sampler=sampler) for sampler in itertools.repeat(make())
    )
    expected = [batch.tolist() for batch in itertools.islice(repeated, 8)]
    some, batches = begin(0)
    actual = list(itertools.islice(batches, 5))
    assert [batch.tolist() for batch in some] == expected[: len(some)]
    assert actual + list(itertools.islice(batches, 3)) == expected
    assert list(itertools.islice(begin(5)[1], 3)) == expected[5:]


@pytest.mark.parametrize("endless", [False, True])
def test_lengths_that_draw_indices_leave_the_order_unchanged(endless):
    class Counting(Two):
        def __len__(self):
            return sum(1 for _ in self)

    def batches(measure, start=0):
        some = ResumableDataLoader(DataLoader(list(range(64)), 4, sampler=Counting()), endless)
        assert not measure or len(some) == 2
        found = []
        for batch in batches_of_run(some, start):
            found.append(batch)
            assert not measure or len(some) == 2
        return found

    whole = batches(measure=True)
    assert batches(measure=False) == whole
    assert batches(measure=False, start=3) == whole[3:]

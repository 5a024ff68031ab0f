import copy
import itertools
import random
from collections import Counter, deque

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.logging import MessageHub
from shuffled_sampler import Shuffled
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler

from mim_plugins.engine.loops import ResumableDataLoader
from mim_plugins.engine.loops.positioned_batch_sampler import PositionedBatchSampler
from mim_plugins.errors import ConfigError

EPOCHS = 4


class CountsAtEnd(Shuffled):
    def __iter__(self):
        yield from self.order(self.number)
        self.number += 1


class CountsAtStart(Shuffled):
    def __iter__(self):
        self.number += 1
        yield from self.order(self.number)


class CountsOutside(Shuffled):
    """Sampler whose count is in an object of a class that is not a container."""

    def __init__(self):
        self.counter = itertools.count()

    def __iter__(self):
        yield from self.order(next(self.counter))


class CountsInArray(Shuffled):
    def __init__(self):
        self.array = np.zeros(2)

    def __iter__(self):
        yield from self.order(int(self.array[0]))
        self.array[0] += 1


class KeepsIndices(Shuffled):
    """Sampler that yields indices of earlier epochs first."""

    def __init__(self):
        self.kept = {"last": deque([0, 1, 2, 3], 4)}

    def __iter__(self):
        yield from list(self.kept["last"])
        order = self.order(self.kept["last"][0])
        yield from order[:4]
        self.kept["last"].extend(order[4:])


class Buckets(BatchSampler):
    """Batch sampler that collects even and odd indices and drops the rest at the end."""

    def __init__(self, sampler, batch_size=3, drop_last=True):
        super().__init__(sampler, batch_size, drop_last)
        self.buckets = [[], []]

    def __iter__(self):
        for index in self.sampler:
            bucket = self.buckets[index % 2]
            bucket.append(index)
            if len(bucket) == self.batch_size:
                yield bucket[:]
                del bucket[:]
        self.buckets = [[], []]


class Wrapper(Shuffled):
    """Sampler that wraps others under another name."""

    def __init__(self):
        self.parts = [RandomSampler(range(8), generator=torch.Generator()), CountsAtEnd()]

    def __iter__(self):
        for first, second in zip(*self.parts, strict=True):
            yield (first + second) % 8


class ChangesSeldom(Shuffled):
    """Sampler with a new order every two epochs, which one unchanged epoch does not show."""

    def __init__(self):
        self.calls = 0

    def __iter__(self):
        order = self.order(self.calls // 2)
        yield from order[self.calls % 2 :] + order[: self.calls % 2]
        self.calls += 1


class CountsInCounter(Shuffled):
    def __init__(self):
        self.counter = Counter(drawn=1)

    def __iter__(self):
        yield from self.order(self.counter["drawn"])
        self.counter["drawn"] += 1


class Nested(Shuffled):
    """Sampler with generators in containers, beside other values."""

    def __init__(self):
        self.random = {"numpy": (np.random.default_rng(0), 8), "torch": deque([torch.Generator()])}
        self.parts = {"random": [RandomSampler(range(8), generator=torch.Generator())]}

    def __iter__(self):
        generator, length = self.random["numpy"]
        moved = int(generator.integers(length)) + torch.randint(
            8, (), generator=self.random["torch"][0]
        )
        for index in self.parts["random"][0]:
            yield int(index + moved) % 8


SAMPLERS = [CountsAtEnd, CountsAtStart, CountsInArray, CountsInCounter, CountsOutside]
SAMPLERS += [ChangesSeldom, KeepsIndices, Nested, Wrapper]


def positioned(make, drop_last, batched=BatchSampler):
    return PositionedBatchSampler(batched(make(), 4, drop_last))


def epoch_of(sampler, epoch, start=0):
    sampler.set_position(epoch, start)
    return [batch[:] for batch in sampler]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("make", SAMPLERS)
def test_epochs_differ_and_resume_at_any_batch(make, drop_last):
    sampler = positioned(make, drop_last)
    whole = [epoch_of(sampler, epoch) for epoch in range(EPOCHS)]
    assert len({str(each) for each in whole}) == EPOCHS
    for epoch, start in itertools.product(range(EPOCHS), range(2)):
        assert epoch_of(positioned(make, drop_last), epoch, start) == whole[epoch][start:]


@pytest.mark.parametrize("make", [CountsAtEnd, CountsAtStart, KeepsIndices])
def test_orders_equal_those_of_the_sampler_alone(make):
    plain, sampler = BatchSampler(make(), 4, True), positioned(make, drop_last=True)
    assert [epoch_of(sampler, epoch) for epoch in range(3)] == [list(plain) for _ in range(3)]


def test_buckets_do_not_survive_an_epoch():
    sampler = positioned(lambda: SequentialSampler(range(11)), True, Buckets)
    assert epoch_of(sampler, 0) == epoch_of(sampler, 1) == epoch_of(sampler, 2)
    assert sampler.batch_sampler.buckets == [[], []]


@pytest.mark.parametrize("make", SAMPLERS[:4])
def test_epoch_begun_again_has_the_same_order(make):
    sampler = positioned(make, drop_last=False)
    first = epoch_of(sampler, 0)
    sampler.set_position(1, 0)
    begun = next(iter(sampler))[:]
    assert epoch_of(sampler, 1)[0] == begun
    assert epoch_of(sampler, 0) == first


@pytest.mark.parametrize("make", [*SAMPLERS, lambda: SequentialSampler(range(8))])
def test_second_training_of_a_process_begins_the_same_order(make):
    batched = Buckets if make not in SAMPLERS else BatchSampler
    sampler = positioned(make, drop_last=True, batched=batched)
    whole = [epoch_of(positioned(make, True, batched), epoch) for epoch in range(2)]
    hub = MessageHub(f"run_{random.getrandbits(64)}")
    for epoch, start in ((0, 1), (1, 1), (1, 0), (0, 0)):
        sampler.load_seeds(hub)
        sampler.set_position(epoch, start)
        assert next(iter(sampler))[:] == whole[epoch][start]  # and interrupted


@pytest.mark.parametrize("module", ["own_samplers", "mmdet.datasets.samplers.of_a_fork"])
@pytest.mark.parametrize("name", ["ClassAwareSampler", "OwnSampler"])
def test_past_epochs_are_drawn_for_unknown_samplers_only(module, name):
    drawn = []

    class Noting(Shuffled):
        __module__ = module

        def set_epoch(self, epoch):
            self.epoch = epoch

        def __iter__(self):
            drawn.append(self.epoch)
            return iter(self.order(self.epoch))

    Noting.__name__ = name
    epoch_of(positioned(Noting, drop_last=False), 5)
    is_known = (module, name) == ("mmdet.datasets.samplers.of_a_fork", "ClassAwareSampler")
    assert drawn == ([5] if is_known else [0, 1, 2, 3, 4, 5])


class Infinite(InfiniteSampler):
    def __init__(self):
        super().__init__(range(8), seed=0)


def test_subclasses_of_endless_samplers_have_other_readers():
    def loader():
        return ResumableDataLoader(DataLoader(list(range(8)), 4, sampler=Infinite()), endless=True)

    plain, disturbed = loader().iter_from(0, 0), loader()
    training = disturbed.iter_from(0, 0)
    for _ in range(3):
        assert next(training).tolist() == next(plain).tolist()
        next(iter(disturbed))


def test_stored_iterators_cannot_have_other_readers():
    class Storing(Shuffled):
        def __init__(self):
            self.by_source = {"a": (index for index in range(8))}

        def __iter__(self):
            return self.by_source["a"]

    loader = ResumableDataLoader(DataLoader(list(range(8)), 4, sampler=Storing()))
    training = loader.iter_from(0, 0)
    next(training)
    with pytest.raises(ConfigError, match=r"Storing\) store an iterator"):
        next(iter(loader))
    assert next(training).tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("make", [CountsAtEnd, CountsInCounter, KeepsIndices, Nested, Wrapper])
def test_other_readers_leave_the_state_of_the_training(make):
    def loader():
        return ResumableDataLoader(DataLoader(list(range(8)), 4, sampler=make()))

    expected, plain = [], loader()
    for epoch in range(3):
        expected += [batch.tolist() for batch in plain.iter_from(epoch, 0)]
    actual, disturbed = [], loader()
    for epoch in range(3):
        for batch in disturbed.iter_from(epoch, 0):
            actual.append(batch.tolist())
            assert [other.tolist() for other in disturbed] == expected[:2]
    assert actual == expected


def test_generators_shared_with_others_leave_the_order_unchanged():
    def epochs(numbers, first=0):
        generator = torch.Generator().manual_seed(3)
        sampler = RandomSampler(range(8), generator=generator)
        loader = ResumableDataLoader(DataLoader([*range(8)], 4, sampler=sampler))
        loader.position.load_seeds(MessageHub(f"run_{random.getrandbits(64)}"))
        found = []
        for epoch in range(first, EPOCHS):
            torch.rand(numbers, generator=generator)  # such as a validation loader
            for batch in loader.iter_from(epoch, 0):
                found.append(batch.tolist())
                torch.rand(numbers, generator=generator)  # such as a data set
        return found

    plain = RandomSampler(range(8), generator=torch.Generator().manual_seed(3))
    whole = epochs(0)
    assert [*itertools.chain(*whole)] == [index for _ in range(EPOCHS) for index in plain]
    assert epochs(5) == whole
    assert epochs(5, first=2) == whole[4:]


def test_iterators_that_have_ended_are_not_continued():
    class Restarting(Shuffled):
        """Sampler that is its only iterator, and begins again after its end."""

        def __init__(self):
            self.drawn = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.drawn += 1
            if self.drawn % 7 == 0:
                raise StopIteration
            return self.drawn

    sampler = PositionedBatchSampler(BatchSampler(Restarting(), 2, False))
    whole = [epoch_of(sampler, epoch) for epoch in range(3)]
    assert whole[:2] == [[[1, 2], [3, 4], [5, 6]], [[8, 9], [10, 11], [12, 13]]]
    other = PositionedBatchSampler(BatchSampler(Restarting(), 2, False))
    assert epoch_of(other, 2) == whole[2]


class Sizes:
    """Data set of images of two aspect ratios, which records the indices whose size is read."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return 11

    def get_data_info(self, index):
        self.read.append(index)
        return dict(width=1 + index % 2, height=1.5)


def test_buckets_of_mmdetection_need_no_past_epochs():
    samplers = pytest.importorskip("mmdet.datasets.samplers")
    data = Sizes()
    batches = samplers.AspectRatioBatchSampler(DefaultSampler(data, seed=0), 3)
    sampler = PositionedBatchSampler(batches, dataset=data)
    whole = epoch_of(sampler, 2)
    assert len(data.read) == 11
    hub = MessageHub(f"run_{random.getrandbits(64)}")
    for start in range(3):  # and another training after an interrupted one
        sampler.load_seeds(hub)
        sampler.set_position(2, start)
        assert next(iter(sampler))[:] == whole[start]


def test_code_after_more_batches_than_the_length_is_left_out():
    class Endless(Shuffled):
        def __iter__(self):
            yield from itertools.cycle(range(8))

    assert epoch_of(positioned(Endless, drop_last=False), 2) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def batches(sampler):
    return [(batch[:], batch.key) for batch in sampler]


def make(endless=False, sampler=None):
    sampler = sampler or DefaultSampler(range(7), shuffle=True, seed=3)
    return PositionedBatchSampler(BatchSampler(sampler, 2, drop_last=False), endless)


def test_sampler_starts_at_any_batch_of_any_epoch():
    sampler = make()
    assert (len(sampler), sampler.batch_size, sampler.drop_last) == (4, 2, False)
    whole = {}
    for epoch in (0, 1):
        sampler.set_position(epoch, 0)
        whole[epoch] = batches(sampler)
        assert sorted(index for indices, _ in whole[epoch] for index in indices) == list(range(7))
    assert whole[0] != whole[1]
    sampler.set_position(1, 3)
    assert batches(sampler) == whole[1][3:]
    sampler.set_position(1, 4)
    assert batches(sampler) == []


@pytest.mark.parametrize("sampler", [None, InfiniteSampler(range(7), seed=3)])
def test_endless_batches_continue_across_epochs(sampler):
    samplers = [make(endless=True, sampler=copy.copy(sampler)) for _ in range(2)]
    whole = [(b[:], b.key) for b in itertools.islice(samplers[0], 12)]
    samplers[1].set_position(0, 9)
    assert [(b[:], b.key) for b in itertools.islice(samplers[1], 3)] == whole[9:]
    assert len({key for _, key in whole}) == 12


def test_endless_sampler_without_any_batch_is_rejected():
    sampler = BatchSampler(DefaultSampler(range(3), seed=0), 4, drop_last=True)
    with pytest.raises(ConfigError, match="DefaultSampler yields no batch in epoch 1"):
        next(iter(PositionedBatchSampler(sampler, endless=True)))


@pytest.mark.parametrize("endless", [False, True])
def test_past_epochs_that_are_drawn_again_are_progress(endless):
    class Unknown(DefaultSampler):
        pass

    sampler, beats = make(endless, Unknown(range(7), seed=3)), []
    sampler.heartbeat = lambda: beats.append(1)
    sampler.set_position(*((0, 12) if endless else (3, 0)))
    next(iter(sampler))
    assert len(beats) == 4

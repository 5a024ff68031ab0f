import functools
import itertools
import random
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper

import numpy as np
import pytest
import torch
from mmengine.dataset import InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, SubsetRandomSampler

from mim_plugins.engine.loops import ResumableDataLoader
from mim_plugins.engine.loops.positioned_batch_sampler import PositionedBatchSampler
from mim_plugins.errors import ConfigError

EPOCHS = 3


def numbers(seed):
    return torch.Generator().manual_seed(seed)


class Sized(Sampler):
    def __len__(self):
        return 8


class Two(Sized):
    """Sampler that draws the source of an image and the image from separate generators."""

    def __init__(self):
        self.source, self.image = numbers(1), numbers(2)

    def __iter__(self):
        for _ in range(8):
            source = torch.randint(2, (), generator=self.source).item()
            yield 32 * source + torch.randint(32, (), generator=self.image).item()


class Pair(Sized):
    """Sampler that combines two others, whose generators may be the same."""

    def __init__(self, *generators):
        self.parts = [RandomSampler(range(8), generator=each) for each in generators]

    def __iter__(self):
        for first, second in zip(*self.parts, strict=True):
            yield 8 * first + second


class Mixed(Sized):
    """Sampler with generators of NumPy and Python."""

    def __init__(self):
        self.by_kind = {"new": np.random.default_rng(1), "old": [np.random.RandomState(2)]}
        self.python = random.Random(3)

    def __iter__(self):
        for _ in range(8):
            first = int(self.by_kind["new"].integers(4))
            second = int(self.by_kind["old"][0].randint(4))
            yield 16 * first + 4 * second + self.python.randrange(4)


class Counts(Sized):
    number = 0

    def __iter__(self):
        yield from torch.randperm(8, generator=numbers(self.number)).tolist()
        self.number += 1


class Held(Counts):
    """Sampler that draws from another one, which ``hold`` stores in any form."""

    def __init__(self, hold, draw):
        self.held, self.draw = hold(Counts()), draw

    def __iter__(self):
        yield from self.draw(self.held)


class Forwarding(Sized):
    """Sampler that has all attributes of the one that it wraps."""

    def __init__(self):
        self.sampler = Counts()

    def __getattr__(self, name):
        return getattr(self.sampler, name)

    def __iter__(self):
        yield from self.sampler


class ForwardingByName(Forwarding):
    def __getattr__(self, name):
        return getattr(vars(self)["sampler"], name)


class Plain:
    """Sampler without PyTorch's base class."""

    def __init__(self):
        self.generator = numbers(5)

    def __len__(self):
        return 8

    def __iter__(self):
        return iter(torch.randperm(8, generator=self.generator).tolist())


class Cycle:
    """Endless iterator that shuffles its values, such as MMDetection's ``RandomCycleIter``."""

    def __init__(self):
        self.values, self.index, self.generator = list(range(8)), 7, numbers(6)

    def __iter__(self):
        return self

    def __next__(self):
        self.index = (self.index + 1) % 8
        if not self.index:
            order = torch.randperm(8, generator=self.generator).tolist()
            self.values = [self.values[index] for index in order]
        return self.values[self.index]


class Stepping(Sized):
    """Sampler that continues a stored iterator."""

    def __init__(self, steps):
        self.steps = steps

    def __iter__(self):
        yield from itertools.islice(self.steps, 6)

    def __len__(self):
        return 6


class Bound(Sized):
    """Sampler that stores one of its methods."""

    def __init__(self):
        self.generator = numbers(7)
        self.draws = [self._draw, functools.partial(Bound._draw, self)]

    def _draw(self):
        return torch.randint(8, (), generator=self.generator).item()

    def __iter__(self):
        return (draw() for draw in self.draws * 4)


SAMPLERS = {
    "own": lambda: RandomSampler(range(8), generator=numbers(3)),
    "subset": lambda: SubsetRandomSampler(range(8), numbers(3)),
    "two": Two,
    "pair": lambda: Pair(numbers(3), numbers(4)),
    "shared": lambda: Pair(*[numbers(3)] * 2),
    "mixed": Mixed,
    "counts": Counts,
    "dict": lambda: Held(lambda each: {"x": each}, lambda held: held["x"]),
    "nested": lambda: Held(lambda each: [[[[(each,)]]]], lambda held: held[0][0][0][0][0]),
    "among_many": lambda: Held(lambda each: [*range(2000), each], lambda held: held[-1]),
    "forwarding": Forwarding,
    "forwarding_by_name": ForwardingByName,
    "plain": Plain,
    "in_plain": lambda: Held(lambda each: [Plain()], lambda held: held[0]),
    "bound": Bound,
    "cycle": lambda: Stepping(Cycle()),
    "builtin_cycle": lambda: Stepping(itertools.cycle(range(8))),
    "count": lambda: Stepping(map(functools.partial(pow, 3, mod=64), itertools.count())),
    "list": lambda: Stepping(iter(list(range(40)))),
    "slice": lambda: Stepping(itertools.islice(itertools.cycle(range(8)), 2, None)),
}


def loader(name, **settings):
    return ResumableDataLoader(DataLoader(list(range(64)), 4, sampler=SAMPLERS[name]()), **settings)


def epoch_of(some, epoch, start=0):
    return [batch.tolist() for batch in some.iter_from(epoch, start)]


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


@pytest.mark.parametrize("settings", [{}, dict(num_workers=1, persistent_workers=True)])
def test_loaders_with_a_generator_have_the_order_of_pytorch(settings):
    def shuffled():
        generator = numbers(3)  # of sampler and loader, which draws seeds of workers from it
        return DataLoader(list(range(8)), 4, shuffle=True, generator=generator, **settings)

    plain = shuffled()
    whole = [[batch.tolist() for batch in plain] for _ in range(EPOCHS)]
    some = ResumableDataLoader(shuffled())
    assert [epoch_of(some, 0), epoch_of(some, 1)] == whole[:2]
    assert [batch.tolist() for batch in some] == whole[0]
    assert epoch_of(some, 2) == whole[2]
    assert epoch_of(ResumableDataLoader(shuffled()), 2, 1) == whole[2][1:]


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
    assert [batch.tolist() for batch in itertools.islice(some, 4)] == expected[:4]
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


def batches_of_run(some, start=0):
    """Yield the batches from ``start`` of a run of three epochs, two each."""
    if some.position.endless:
        readers = [some.iter_from(0, start)]
    else:
        epochs = range(start // 2, EPOCHS)
        readers = (some.iter_from(epoch, max(start - 2 * epoch, 0)) for epoch in epochs)
    batches = itertools.chain.from_iterable(readers)
    return (batch.tolist() for batch in itertools.islice(batches, 2 * EPOCHS - start))


class Noting(list):
    """Long list that records that it is walked through."""

    def __init__(self, *args):
        super().__init__(*args)
        self.notes = []

    def __iter__(self):
        self.notes.append("walked")
        return super().__iter__()

    def __deepcopy__(self, memo):
        self.notes.append("copied")
        return self


@pytest.mark.parametrize("endless", [False, True])
def test_contents_of_samplers_are_copied_once_per_run(endless):
    sampler = Counts()
    sampler.held = Noting(range(8))
    some = ResumableDataLoader(DataLoader(list(range(64)), 4, sampler=sampler), endless)
    batches = batches_of_run(some)
    next(batches)
    notes = [*sampler.held.notes]
    assert "copied" in notes
    assert len(list(batches)) == 5
    assert sampler.held.notes == notes


def test_samplers_without_state_are_copied_for_hooks_only():
    indices = Noting(range(8))
    some = ResumableDataLoader(DataLoader(list(range(8)), 4, sampler=SubsetRandomSampler(indices)))
    whole = [epoch_of(some, epoch) for epoch in range(EPOCHS)]
    assert len(some) == 2
    assert "copied" not in indices.notes
    assert [batch.tolist() for batch in some] == whole[0]
    assert "copied" in indices.notes


def test_data_sets_that_are_lists_are_not_copied():
    data = Noting(range(8))
    sampler = Counts()
    sampler.images = {"all": data}
    some = ResumableDataLoader(DataLoader(data, 4, sampler=sampler))
    assert epoch_of(some, 0)
    assert list(some)
    assert data.notes == []


class Uncopied(list):
    def __deepcopy__(self, memo):
        raise NotImplementedError


class RefusesCopies(Iterator):
    def __next__(self):
        return 0

    def __copy__(self):
        raise KeyError(0)

    def __new__(cls):
        return super().__new__(cls)


@pytest.mark.parametrize("make", [Uncopied, RefusesCopies, lambda: TextIOWrapper(BytesIO())])
def test_samplers_that_cannot_be_copied_train(make):
    sampler = Counts()
    sampler.held = make()
    some = ResumableDataLoader(DataLoader(list(range(64)), 4, sampler=sampler))
    assert len(some) == 2
    assert [epoch_of(some, epoch) for epoch in range(3)] == [
        epoch_of(loader("counts"), epoch) for epoch in range(3)
    ]
    with pytest.raises(ConfigError, match=r"\(.*Counts.*cannot be copied \(\w.*another sampler"):
        next(iter(some))


def test_data_of_a_sampler_are_not_copied(tmp_path):
    class Storing(Counts):
        def __init__(self):
            self.dataset = [[0]]
            self.features = np.memmap(tmp_path / "features", mode="w+", shape=(8,))
            self.model = torch.nn.Sequential(torch.nn.Linear(2, 2))
            self.inner = {"data": [torch.utils.data.TensorDataset(torch.zeros(8))]}
            self.shares = {torch.utils.data.TensorDataset(torch.zeros(8)): 1}

    sampler = Storing()
    position = PositionedBatchSampler(BatchSampler(sampler, 4, False))
    (copied,) = position.separate().parts.objects[1:]
    assert copied is not sampler
    assert copied.inner is not sampler.inner
    for name in ("dataset", "features", "model"):
        assert getattr(copied, name) is getattr(sampler, name)
    assert copied.inner["data"][0] is sampler.inner["data"][0]
    assert copied.shares is not sampler.shares
    assert copied.shares == sampler.shares


def test_keys_and_partial_functions_contain_samplers():
    sampler = Counts()
    random_sampler = RandomSampler(range(8), generator=numbers(1))
    sampler.held = {(random_sampler, 0): functools.partial(Counts().__iter__)}
    parts = PositionedBatchSampler(BatchSampler(sampler, 4, False)).parts
    assert [type(each) for each in parts.objects[2:]] == [RandomSampler, Counts]
    assert parts.generators == [random_sampler.generator]

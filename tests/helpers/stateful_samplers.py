"""Samplers with generators and other state of their own, and their loaders."""

import functools
import itertools
import random

import numpy as np
import torch
from torch.utils.data import DataLoader, RandomSampler, Sampler, SubsetRandomSampler

from mim_plugins.engine.loops import ResumableDataLoader

EPOCHS = 3


def numbers(seed):
    """Return a generator of PyTorch."""
    return torch.Generator().manual_seed(seed)


class Sized(Sampler):
    """Sampler of eight indices."""

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
    """Sampler that counts its epochs."""

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
    """The same, by the name of the attribute in its dict."""

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
    """Build a resumable loader of one of the samplers."""
    return ResumableDataLoader(DataLoader(list(range(64)), 4, sampler=SAMPLERS[name]()), **settings)


def epoch_of(some, epoch, start=0):
    """Return the batches of an epoch from ``start``."""
    return [batch.tolist() for batch in some.iter_from(epoch, start)]


def batches_of_run(some, start=0):
    """Yield the batches from ``start`` of a run of three epochs, two each."""
    if some.position.endless:
        readers = [some.iter_from(0, start)]
    else:
        epochs = range(start // 2, EPOCHS)
        readers = (some.iter_from(epoch, max(start - 2 * epoch, 0)) for epoch in epochs)
    batches = itertools.chain.from_iterable(readers)
    return (batch.tolist() for batch in itertools.islice(batches, 2 * EPOCHS - start))

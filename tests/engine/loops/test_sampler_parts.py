import dataclasses
import functools
from collections import deque
from io import BytesIO, TextIOWrapper

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from stateful_samplers import Counts, batches_of_run, epoch_of, loader, numbers
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from mim_plugins.engine.loops import ResumableDataLoader
from mim_plugins.engine.loops.positioned_batch_sampler import PositionedBatchSampler
from mim_plugins.engine.loops.sampler_parts import find_parts, is_function_of_epoch
from mim_plugins.errors import ConfigError


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
    assert notes.count("copied") == 1
    assert len(list(batches)) == 5
    assert sampler.held.notes == notes


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


@pytest.mark.parametrize("make", [Uncopied, lambda: TextIOWrapper(BytesIO())])
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


def order(number):
    return torch.randperm(8, generator=numbers(number)).tolist()


@dataclasses.dataclass(slots=True)
class InSlots:
    """Sampler without a ``__dict__``, whose order depends on the epochs so far."""

    seed: int = 1
    epochs: int = 0

    def set_epoch(self, epoch):
        self.epochs += 1

    def __len__(self):
        return 8

    def __iter__(self):
        return iter(order(self.seed + self.epochs))


class DrawsInSlots(InSlots):
    """The same, with global random numbers."""

    __slots__ = ()

    def __iter__(self):
        return iter(np.random.permutation(8).tolist())


class AsList(list):
    def set_epoch(self, epoch):
        self[:] = [self[index] for index in order(epoch)]


class AsDeque(deque):
    def set_epoch(self, epoch):
        self.rotate(1 + epoch)


class AsDict(dict):
    def set_epoch(self, epoch):
        for index in order(epoch)[:4]:
            self[index] = self.pop(index)


OTHERS = {
    "slots": InSlots,
    "global": DrawsInSlots,
    "list": lambda: AsList(range(8)),
    "deque": lambda: AsDeque(range(8)),
    "dict": lambda: AsDict.fromkeys(range(8)),
}


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_samplers_without_attributes_resume_and_begin_again(name, endless):
    def make():
        data = DataLoader(list(range(8)), 4, sampler=OTHERS[name]())
        return ResumableDataLoader(data, endless)

    some = make()
    whole = list(batches_of_run(some))
    assert len({str(whole[start : start + 2]) for start in (0, 2, 4)}) == 3
    assert list(batches_of_run(make(), start=3)) == whole[3:]
    assert list(batches_of_run(some)) == whole
    assert list(batches_of_run(some, start=2)) == whole[2:]


def test_seed_in_slots_is_that_of_the_checkpoint():
    hub = MessageHub("seed_in_slots")
    samplers = [InSlots(seed) for seed in (1, 2)]
    for each in samplers:
        PositionedBatchSampler(BatchSampler(each, 4, False)).load_seeds(hub)
    assert [each.seed for each in samplers] == [1, 1]


@pytest.mark.parametrize("indices", [list, tuple, range, np.arange, torch.arange])
def test_orders_of_plain_indices_do_not_depend_on_past_epochs(indices):
    sampler = indices(8) if indices not in (list, tuple) else indices(range(8))
    assert is_function_of_epoch(find_parts(BatchSampler(sampler, 4, False)))
    assert not is_function_of_epoch(find_parts(BatchSampler(AsList(range(8)), 4, False)))

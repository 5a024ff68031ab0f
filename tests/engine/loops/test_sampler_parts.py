import functools
from io import BytesIO, TextIOWrapper

import numpy as np
import pytest
import torch
from stateful_samplers import Counts, batches_of_run, epoch_of, loader, numbers
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from mim_plugins.engine.loops import ResumableDataLoader
from mim_plugins.engine.loops.positioned_batch_sampler import PositionedBatchSampler
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

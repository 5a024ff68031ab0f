import os
import signal
import time
from itertools import islice

import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from random_numbers import draw, seed
from tiny_run import toy_runner
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    WeightedRandomSampler,
)

from mim_plugins.engine.loops import ResumableDataLoader
from mim_plugins.engine.loops.resumable_data_loader import build_resumable_data_loader
from mim_plugins.errors import ConfigError


class Numbers:
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.tensor([index, os.getpid()])


def test_loader_reads_like_the_wrapped_one():
    loader = ResumableDataLoader(DataLoader(Numbers(), batch_size=3, drop_last=True))
    assert (len(loader), loader.batch_size) == (2, 3)
    assert [batch[:, 0].tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5]]
    assert [batch[:, 0].tolist() for batch in loader.iter_from(0, 1)] == [[3, 4, 5]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_workers_start_lazily_and_outlive_signals(number):
    loader = ResumableDataLoader(DataLoader(Numbers(), batch_size=1, num_workers=1))
    iterator = iter(loader)
    first = next(iterator)
    worker = int(first[0, 1])
    assert worker != os.getpid()
    os.kill(worker, number)
    time.sleep(0.2)
    assert [int(batch[0, 0]) for batch in iterator] == list(range(1, 8))


def test_hooks_read_and_steer_the_configured_sampler():
    sampler = WeightedRandomSampler([1.0] * 8, 8)
    loader = ResumableDataLoader(DataLoader(list(range(8)), 4, sampler=sampler, drop_last=True))
    assert loader.sampler is sampler
    assert loader.drop_last
    loader.sampler.weights = torch.tensor([0.0, 1.0] + [0.0] * 6)
    assert [batch.tolist() for batch in loader.iter_from(0, 0)] == [[1] * 4] * 2


class Staged(BatchSampler):
    """Batch sampler with a setting and a method of its own."""

    stage = 0

    def advance(self):
        self.stage += 1


@pytest.mark.parametrize("workers", [0, 1])
def test_hooks_read_and_steer_the_configured_batch_sampler(workers):
    batches = Staged(range(8), 4, drop_last=False)
    data = DataLoader(Numbers(), batch_sampler=batches, num_workers=workers)
    loader = ResumableDataLoader(data)
    loader.batch_sampler.advance()
    loader.batch_sampler.stage += 1
    loader.batch_sampler.batch_size = 3
    loader.batch_sampler.drop_last = True
    assert (batches.stage, len(loader)) == (2, 2)
    for reader in (loader, loader.iter_from(0, 0)):
        assert [batch[:, 0].tolist() for batch in reader] == [[0, 1, 2], [3, 4, 5]]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(8))


class CountedStream(Stream):
    def __len__(self):
        return 8


@pytest.mark.parametrize("stream", [Stream(), CountedStream()])
def test_iterable_data_sets_are_rejected_in_one_line(tmp_path, stream):
    for size in (None, 2):
        with pytest.raises(ConfigError, match=r"Stream is an IterableDataset.* __getitem__"):
            ResumableDataLoader(DataLoader(stream, batch_size=size))
    config = dict(dataset=stream, batch_size=2, sampler=dict(type="DefaultSampler"))
    with pytest.raises(ConfigError, match=r"train_dataloader\.dataset .* IterableDataset"):
        build_resumable_data_loader(toy_runner(tmp_path), config)


@pytest.mark.parametrize("is_config", [False, True])
def test_loaders_without_a_batch_size_are_rejected_in_one_line(tmp_path, is_config):
    data = dict(dataset=Numbers(), batch_size=None, sampler=dict(type="DefaultSampler"))
    with pytest.raises(ConfigError, match=r"batch_size=None .* a batch_size of"):
        build_resumable_data_loader(
            toy_runner(tmp_path), data if is_config else DataLoader(Numbers(), batch_size=None)
        )


class Prefetching(DataLoader):
    def __iter__(self):
        return super().__iter__()


class Mixing(DataLoader):
    def _get_iterator(self):
        return super()._get_iterator()


class Named(DataLoader):
    """Loader that reads like PyTorch's."""

    name = "own"


@pytest.mark.parametrize("kind", [Prefetching, Mixing])
def test_loaders_that_read_in_another_way_are_rejected(kind):
    with pytest.raises(ConfigError, match=rf"{kind.__name__} has its own .*; pass a DataLoader"):
        ResumableDataLoader(kind(Numbers(), 2))


@pytest.mark.parametrize("kind", [Named, lambda *args: ResumableDataLoader(DataLoader(*args))])
def test_other_loaders_that_read_like_pytorch_are_accepted(kind):
    loader = ResumableDataLoader(kind(Numbers(), 3))
    assert [batch[:, 0].tolist() for batch in loader.iter_from(0, 1)] == [[3, 4, 5], [6, 7]]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("sampler", [InfiniteSampler, lambda data: RandomSampler(data)])
def test_other_readers_do_not_disturb_the_training(workers, sampler):
    def batches():
        data = Numbers()
        inner = DataLoader(
            data, 1, sampler=sampler(data), num_workers=workers, persistent_workers=bool(workers)
        )
        loader = ResumableDataLoader(inner, endless=True)
        loader.position.sampler.seed = 0
        return loader, (int(batch[0, 0]) for batch in loader.iter_from(0, 0))

    expected = list(islice(batches()[1], 20))
    loader, training = batches()
    actual = list(islice(training, 5))
    reader = (int(batch[0, 0]) for batch in loader)  # such as mmpretrain's PreciseBNHook
    first = list(islice(reader, 4))
    assert actual + list(islice(training, 15)) == expected
    assert first + list(islice(reader, 4)) == expected[:8]


class Parts(Sampler):
    """Sampler that alternates between others."""

    def __init__(self, seeds):
        self.parts = [DefaultSampler(range(8), seed=seed) for seed in seeds]
        self.weights = {"seed": 7}

    def __len__(self):
        return 16

    def __iter__(self):
        for pair in zip(*self.parts, strict=True):
            yield from pair


@pytest.mark.parametrize("count", [1, 2])
def test_seeds_of_inner_samplers_are_those_of_the_checkpoint(tmp_path, count):
    def loader(seeds, runner):
        found = ResumableDataLoader(DataLoader(range(8), 2, sampler=Parts(seeds)))
        found.load_seeds(runner)
        return found

    runner = toy_runner(tmp_path)
    first = loader([1, 2][:count], runner)
    second = loader([3, 4][:count], runner)
    assert [each.seed for each in second.position.sampler.parts] == [1, 2][:count]
    assert list(second.position) == list(first.position)
    other = loader([5, 6, 7], runner)
    assert [each.seed for each in other.position.sampler.parts] == [5, 6, 7]


def test_configured_seed_other_than_the_checkpoints_is_a_warning(tmp_path, monkeypatch):
    runner, logged = toy_runner(tmp_path), []
    module = "mim_plugins.engine.loops.resumable_data_loader"
    monkeypatch.setattr(f"{module}.print_log", lambda text, *_: logged.append(text))
    loaders = [
        build_resumable_data_loader(
            runner,
            dict(dataset=Numbers(), batch_size=2, sampler=dict(type="DefaultSampler") | seeds),
        )
        for seeds in (dict(seed=1), dict(seed=1), {}, dict(seed=9))
    ]
    for some in loaders:
        assert logged == []
        some.load_seeds(runner)
    assert logged == [
        "train_dataloader.sampler.seed=9 is not that of the checkpoint, 1, with which the run"
        " continues; another order needs a new run"
    ]


def test_readers_beside_a_training_read_its_epoch():
    loader = ResumableDataLoader(DataLoader(Numbers(), 4, sampler=DefaultSampler(Numbers())))
    orders = []
    for epoch in (0, 2):
        orders.append(torch.cat(list(loader.iter_from(epoch, 0))))
        assert torch.equal(torch.cat(list(loader)), orders[-1])
    assert not torch.equal(*orders)


@pytest.mark.parametrize("sampler", [DefaultSampler, InfiniteSampler])
def test_readers_beside_an_endless_training_end(sampler):
    data = DataLoader(Numbers(), 3, sampler=sampler(Numbers(), seed=0))
    loader = ResumableDataLoader(data, endless=True)
    next(loader.iter_from(0, 0))
    read = [index for batch in loader for index in batch[:, 0].tolist()]
    assert sorted(read[:8]) == list(range(8))
    assert -(-len(read) // 3) == len(loader) == 3


class Augmented:
    """Data set of an index and random numbers."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index == 99:
            raise KeyError(index)
        return torch.tensor([index, *draw()], dtype=torch.float64)


class ReadAtOnce(Augmented):
    """Data set that reads a batch at once, without iterating over it in Python."""

    def __getitems__(self, indices):
        return list(torch.cat([torch.tensor(indices)[:, None], torch.rand(len(indices), 2)], 1))


DATA_SETS = {
    "plain": Augmented,
    "subset": lambda: Subset(Augmented(), range(12)),
    "subset_of_subset": lambda: Subset(Subset(Augmented(), range(12)), range(12)),
    "at_once": ReadAtOnce,
}


def _mix(samples):
    """Collate as Mixup does, with random numbers of the batch."""
    batch = torch.stack(samples)
    return torch.cat([batch, torch.tensor([draw()] * len(batch))], 1)


@pytest.mark.parametrize("data", DATA_SETS)
def test_all_random_numbers_of_a_batch_depend_on_its_position(data):
    def batches(workers=0, start=0):
        torch.manual_seed(workers)  # a state that must not matter
        loader = DataLoader(
            DATA_SETS[data](), 3, shuffle=True, num_workers=workers, collate_fn=_mix
        )
        return list(ResumableDataLoader(loader).iter_from(1, start))

    whole = batches()
    assert len({float(row[1]) for batch in whole for row in batch}) == 12
    assert len({float(batch[0, -1]) for batch in whole}) == 4
    assert not {float(batch[0, -1]) for batch in whole} & {float(row[1]) for row in whole[0]}
    for other in (batches(start=2), batches(workers=1), batches(workers=2, start=1)):
        assert torch.equal(torch.cat(other), torch.cat(whole[4 - len(other) :]))


@pytest.mark.parametrize("data", DATA_SETS)
def test_reading_leaves_the_generators_of_the_process_unchanged(data):
    seed()
    expected = [draw() for _ in range(4)]
    seed()
    batches = ResumableDataLoader(DataLoader(DATA_SETS[data](), 3, collate_fn=_mix)).iter_from(0, 0)
    assert [draw() for _ in batches] == expected


@pytest.mark.parametrize("faulty", ["sample", "collate"])
def test_errors_of_reading_restore_the_generators(faulty):
    def collate(samples):
        draw()
        raise KeyError("collate")

    sampler = [0, 99] if faulty == "sample" else [0, 1]
    loader = DataLoader(Augmented(), 2, sampler=sampler, collate_fn=collate)
    seed()
    expected = draw()
    seed()
    with pytest.raises(KeyError):
        next(ResumableDataLoader(loader).iter_from(0, 0))
    assert draw() == expected

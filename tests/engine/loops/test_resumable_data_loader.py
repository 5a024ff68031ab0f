import os
import signal
import subprocess
import sys
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
from mim_plugins.engine.loops.resumable_data_loader import (
    build_resumable_data_loader,
    defer_worker_signals,
)
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


def test_workers_of_a_plain_loader_outlive_sigterm(tmp_path):
    loader = DataLoader(
        Numbers(), num_workers=1, worker_init_fn=lambda number: (tmp_path / f"{number}").touch()
    )
    defer_worker_signals(loader)
    once = loader.worker_init_fn
    defer_worker_signals(loader)
    assert loader.worker_init_fn is once
    iterator = iter(loader)
    os.kill(int(next(iterator)[0, 1]), signal.SIGTERM)
    time.sleep(0.2)
    assert [int(batch[0, 0]) for batch in iterator] == list(range(1, 8))
    assert (tmp_path / "0").exists()


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


SCRIPT = """
import torch
from torch.utils.data import DataLoader
from mim_plugins.engine.loops.resumable_data_loader import *

plain, wrapped = (
    DataLoader(torch.arange(4), num_workers=1, persistent_workers=True) for _ in range(2)
)
for loader in (plain, ResumableDataLoader(wrapped)):
    defer_worker_signals(loader)
    print(len(list(loader)), flush=True)
"""


def test_workers_do_not_delay_the_end_of_the_process():
    command = [sys.executable, "-c", SCRIPT]
    # less than the minute from SIGTERM to the end of a worker
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert result.stdout == "4\n4\n"
    assert "Traceback" not in result.stderr


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(8))


class CountedStream(Stream):
    def __len__(self):
        return 8


@pytest.mark.parametrize("stream", [Stream(), CountedStream()])
def test_iterable_data_sets_are_rejected_in_one_line(tmp_path, stream):
    with pytest.raises(TypeError, match="Stream cannot be resumed exactly"):
        ResumableDataLoader(DataLoader(stream, batch_size=None))
    config = dict(dataset=stream, batch_size=2, sampler=dict(type="DefaultSampler"))
    with pytest.raises(ConfigError, match=r"train_dataloader\.dataset .* IterableDataset"):
        build_resumable_data_loader(toy_runner(tmp_path), config)


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

import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from random_numbers import draw, seed
from tiny_run import ToyImages, toy_runner
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from mim_plugins.engine.loops.positioned_batch_sampler import PositionedBatchSampler
from mim_plugins.engine.loops.sampler_parts import SamplerParts
from mim_plugins.engine.loops.sampler_stream import SamplerStream, order_rank

IMAGES = 40


class Drawing:
    """Sampler that draws each index when it is requested."""

    def __init__(self, generator=None, draw=lambda generator: generator.randrange(IMAGES)):
        self.numbers, self.draw = generator, draw

    def __len__(self):
        return IMAGES

    def __iter__(self):
        return (int(self.draw(self.numbers)) for _ in range(IMAGES))


class ShuffledBatches:
    """Batch sampler that shuffles its batches by another module than its sampler."""

    def __init__(self, sampler):
        self.sampler = sampler

    def __len__(self):
        return IMAGES // 4

    def __iter__(self):
        batches = list(BatchSampler(self.sampler, 4, False))
        random.shuffle(batches)
        return iter(batches)


def pytorch():
    return torch.Generator().manual_seed(1)


SAMPLERS = {
    "global": lambda: RandomSampler(range(IMAGES)),
    "generator": lambda: RandomSampler(range(IMAGES), generator=pytorch()),
    "replacement": lambda: RandomSampler(range(IMAGES), replacement=True, generator=pytorch()),
    "weighted": lambda: WeightedRandomSampler([1.0] * IMAGES, IMAGES),
    "subset": lambda: SubsetRandomSampler(range(IMAGES), pytorch()),
    "python": lambda: Drawing(random),
    "numpy": lambda: Drawing(None, lambda _: np.random.randint(IMAGES)),
    "own_python": lambda: Drawing(random.Random(1)),
    "own_numpy": lambda: Drawing(np.random.default_rng(1), lambda own: own.integers(IMAGES)),
    "own_old_numpy": lambda: Drawing(np.random.RandomState(1), lambda own: own.randint(IMAGES)),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("batched", [lambda each: BatchSampler(each, 4, False), ShuffledBatches])
def test_order_does_not_depend_on_numbers_drawn_between(name, batched):
    def position(start=(0, 0), run_seed=3):
        sampler = PositionedBatchSampler(batched(SAMPLERS[name]()), endless=True)
        sampler.seed = run_seed
        sampler.set_position(*start)
        return iter(sampler)

    def take(batches, count):
        taken = []
        for _ in range(count):
            taken.append(next(batches)[:])
            draw()  # training draws between the batches
        return taken

    seed()
    whole = take(position(), 30)
    epochs = whole[:10], whole[10:20], whole[20:]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    for start in ((0, 3), (0, 17), (1, 7)):  # also in a later epoch
        passed = 10 * start[0] + start[1]
        assert take(position(start), 4) == whole[passed : passed + 4]
    is_seeded = name.startswith("own") or getattr(SAMPLERS[name](), "generator", None) is not None
    same = take(position(run_seed=4), 10) == epochs[0]
    assert same is (is_seeded and batched is not ShuffledBatches)


def test_numbers_of_a_stream_and_of_others_are_independent():
    def own(stream):
        with stream.entered():
            return draw(), torch.rand(1, generator=generator).item()

    generator = pytorch()
    stream = SamplerStream(SamplerParts([], [], [generator], []))
    expected = [own(stream) for _ in range(3)]
    assert len(set(expected)) == 3
    other = torch.rand(3, generator=pytorch()).tolist()
    assert torch.rand(1, generator=generator).item() == other[0]
    generator = pytorch()
    stream, actual = SamplerStream(SamplerParts([], [], [generator], [])), []
    for number in range(3):
        seed()
        outside = draw()
        seed()
        with stream.entered(keep=False):
            draw(), torch.rand(7, generator=generator)
        actual.append(own(stream))
        assert draw() == outside
        assert torch.rand(1, generator=generator).item() == other[number]
    assert actual == expected


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("generator", [lambda: None, pytorch], ids=["global", "own"])
def test_run_with_a_shuffled_loader_resumes_exactly(tmp_path, endless, generator):
    def weights(folder, stop=None, resume=False):
        unit = dict(max_iters=stop or 7) if endless else dict(max_epochs=stop or 3)
        loop = "ResumableIterLoop" if endless else "ResumableEpochLoop"
        loader = DataLoader(
            ToyImages(), 2, shuffle=True, collate_fn=_collate, generator=generator()
        )
        runner = toy_runner(
            folder,
            train_cfg=dict(type=f"mim_plugins.{loop}") | unit,
            train_dataloader=loader,
            resume=resume,
        )
        return runner.train().weight

    whole = weights(tmp_path / "whole")
    weights(tmp_path / "pieces", stop=5 if endless else 2)
    assert torch.equal(weights(tmp_path / "pieces", resume=True), whole)


def _collate(samples):
    return dict(inputs=[sample["inputs"] for sample in samples])


@pytest.mark.parametrize(
    ("sampler", "shared", "separate"),
    [
        (RandomSampler(range(8)), 5, 5),  # draws from the whole data set in each process
        (BatchSampler(WeightedRandomSampler([1, 1], 2), 2, False), 5, 5),
        (BatchSampler(DefaultSampler(range(8)), 2, False), 0, 0),  # divides one order
        (DistributedSampler(range(8), num_replicas=2, rank=1), 0, 0),
        (ShuffledBatches(DistributedSampler(range(8), num_replicas=2, rank=1)), 0, 0),
        (Drawing(), 0, 5),  # unknown: as in MMEngine
        (ShuffledBatches(RandomSampler(range(8))), 0, 5),
    ],
)
def test_processes_share_an_order_where_they_divide_it(sampler, shared, separate):
    assert order_rank(sampler, 5, ranks_differ=False) == shared
    assert order_rank(sampler, 5, ranks_differ=True) == separate

import copy
import itertools

import pytest
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler

from mim_plugins.engine.loops.positioned_batch_sampler import PositionedBatchSampler


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
    with pytest.raises(ValueError, match="batch_size"):
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

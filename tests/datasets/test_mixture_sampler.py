"""Mixtures of data sets."""

from collections import Counter

import pytest
from torch.utils.data import ConcatDataset

from mim_plugins.datasets import MixtureSampler
from mim_plugins.datasets.mixture_sampler import mixed_count
from mim_plugins.registry import DATA_SAMPLERS

PARTS = ConcatDataset([range(5), range(8), range(4)])


def epochs(count, weights=(2, 0.5, 1), **options):
    sampler = MixtureSampler(PARTS, weights, seed=3, **options)
    found = []
    for epoch in range(count):
        sampler.set_epoch(epoch)
        found.append(list(sampler))
        assert len(found[-1]) == len(sampler)
    return found


def test_weights_are_the_mean_number_of_times():
    first, second = epochs(2)
    for epoch in (first, second):
        counts = Counter(epoch)
        assert [counts[index] for index in range(5)] == [2] * 5
        assert sum(counts[index] for index in range(5, 13)) == 4
        assert [counts[index] for index in range(13, 17)] == [1] * 4
    both = Counter(first + second)
    assert [both[index] for index in range(5, 13)] == [1] * 8
    assert first != second


@pytest.mark.parametrize("weight", [0.3, 0.7, 1.4])
def test_images_are_seen_equally_often_over_epochs(weight):
    seen = Counter(index for epoch in epochs(7, (weight, 1, 1)) for index in epoch)
    counts = [seen[index] for index in range(5)]
    assert sum(counts) == 7 * round(5 * weight)
    assert max(counts) - min(counts) <= 1


def test_epochs_depend_on_seed_and_number_alone():
    sampler = MixtureSampler(PARTS, (2, 0.5, 1), seed=3)
    sampler.set_epoch(4)
    assert list(sampler) == epochs(5)[4] == list(sampler)


def test_weights_of_one_read_everything_once():
    assert sorted(epochs(1, (1, 1, 1))[0]) == list(range(17))
    assert epochs(1, (1, 1, 1), shuffle=False)[0] == list(range(17))


@pytest.mark.parametrize("round_up", [True, False])
def test_processes_share_an_epoch(monkeypatch, round_up):
    whole = epochs(1, round_up=False)[0]
    shares = []
    for rank in range(4):
        monkeypatch.setattr("mmengine.dataset.sampler.get_dist_info", lambda rank=rank: (rank, 4))
        shares.append(epochs(1, round_up=round_up)[0])
    joined = [index for group in zip(*shares, strict=False) for index in group]
    assert joined[: len(whole)] == whole[: len(joined)]
    assert sum(map(len, shares)) == (20 if round_up else len(whole))


def test_wrong_weights_are_errors():
    with pytest.raises(ValueError, match="range has no parts"):
        MixtureSampler(range(3), (1,), seed=0)
    with pytest.raises(ValueError, match="2 numbers for 3 data sets"):
        MixtureSampler(PARTS, (1, 2), seed=0)
    for weight in (0, -1, float("nan"), float("inf"), True, "2"):
        with pytest.raises(ValueError, match="must be a number above 0"):
            mixed_count(10, weight)
    with pytest.raises(ValueError, match=r"weight 0\.01 leaves none of 10 images"):
        mixed_count(10, 0.01)


def test_configs_name_the_sampler_with_its_scope():
    cfg = dict(type="mim_plugins.MixtureSampler", dataset=PARTS, weights=[1, 1, 1], seed=0)
    assert len(DATA_SAMPLERS.build(cfg)) == 17

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dist import get_rank
from mmengine.logging import MessageHub
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler
from two_processes import in_two_processes

from mim_plugins.engine.loops import ResumableDataLoader
from mim_plugins.engine.loops.sampler_seeds import STATES
from mim_plugins.errors import CheckpointError

MODULE = "mim_plugins.engine.loops"


class Drawing(Sampler):
    """Sampler with a seed and generators of all kinds."""

    def __init__(self, seed, torch_seed):
        self.seed = seed
        self.generators = [
            torch.Generator().manual_seed(torch_seed),
            {"new": np.random.default_rng(), "other": np.random.Generator(np.random.MT19937())},
            (np.random.RandomState(), random.Random()),
        ]

    def __len__(self):
        return 4

    def __iter__(self):
        first, by_name, (old, python) = self.generators
        for _ in range(4):
            drawn = int(torch.randint(99, (), generator=first)) + int(old.randint(99))
            drawn += sum(int(each.integers(99)) for each in by_name.values())
            yield drawn + python.randrange(99) + 1000 * self.seed


def run_of(sampler, **info):
    """Return a loader whose seeds are loaded, and the message hub of its run."""
    hub = MessageHub.get_instance(f"run_{random.getrandbits(64)}")
    for key, value in info.items():
        hub.update_info(key, value)
    runner = SimpleNamespace(message_hub=hub, hooks=[], seed=0, _randomness_cfg={})
    loader = ResumableDataLoader(DataLoader(range(10**6), 4, sampler=sampler))
    loader.load_seeds(runner)
    return loader, hub.runtime_info[STATES]


def images(loader, epoch=1):
    return [index for batch in loader.iter_from(epoch, 0) for index in batch.tolist()]


def test_unseeded_samplers_have_the_order_of_the_checkpoint():
    loader, states = run_of(Drawing(5, 1))
    resumed, _ = run_of(Drawing(6, 2), **{STATES: states})
    assert images(resumed) == images(loader)
    assert images(run_of(Drawing(5, 1))[0]) != images(loader)


def in_process(rank):
    """Return the images of a run with a seed per process, and of three that resume it."""
    loader, states = run_of(Drawing(5 + get_rank(), rank))
    whole = images(loader)
    resumed, _ = run_of(Drawing(7 + get_rank(), 9), **{STATES: states})
    # as the checkpoint of a run in one process, or of three
    others = [
        [each // 1000 for each in images(run_of(Drawing(20 + rank, rank), **{STATES: some})[0])]
        for some in (states[:1], [*states, states[0]])
    ]
    common = run_of(Drawing(21, 0), **{STATES: [dict(states[0], seeds=[3])]})[0].sampler.seed
    return len(states), whole, images(resumed), [each[0] for each in others], common


def test_processes_keep_separate_seeds_and_generators():
    codes, returned = in_two_processes(in_process)
    assert codes == [0, 0]
    assert [returned[rank][0] for rank in range(2)] == [2, 2]
    for rank in range(2):
        _, whole, resumed, others, _ = returned[rank]
        assert {each // 1000 for each in whole} == {5 + rank}
        assert whole == resumed
        assert others == [20 + rank] * 2
    assert returned[0][1] != returned[1][1]


def shared_order(rank):
    """Return the images and warnings of samplers whose generators are seeded equally, or not."""
    found, logged = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            f"{MODULE}.resumable_data_loader.print_log", lambda text, *_: logged.append(text)
        )
        for seed in (3, 3 + rank):
            generator = torch.Generator().manual_seed(seed)
            loader, states = run_of(RandomSampler(range(99), generator=generator))
            found.append((images(loader), len(states), len(logged)))
    return found, logged


def test_random_samplers_that_read_the_same_images_are_a_warning():
    returned = in_two_processes(shared_order)[1]
    (same, other), logged = returned[0]
    assert same[1:] == (1, 1)
    assert other[1:] == (2, 1)
    assert "RandomSampler draws equal numbers in all 2 processes" in logged[0]
    assert "the same images unless each has its own data set or indices" in logged[0]
    assert returned[1][0][0][0] == same[0]
    assert returned[1][0][1][0] != other[0]


class ReadOnly(Sampler):
    seed = property(lambda self: 3)

    def __len__(self):
        return 4

    def __iter__(self):
        return iter(range(4))


def test_seed_that_cannot_be_set_is_a_warning_if_it_differs(monkeypatch):
    logged = []
    monkeypatch.setattr(f"{MODULE}.sampler_seeds.print_log", lambda text, *_: logged.append(text))
    states = run_of(ReadOnly())[1]
    run_of(ReadOnly(), **{STATES: states})
    assert not logged
    run_of(BatchSampler(ReadOnly(), 2, False), **{STATES: [dict(seeds=[4], generators=[])]})
    assert logged == [
        "ReadOnly.seed=3 cannot be set to 4, the seed of the checkpoint, so the run reads its"
        " images in another order"
    ]


class SeedOfInner(ReadOnly):
    """Sampler whose seed is that of the sampler that ``hold`` stores."""

    def __init__(self, inner, hold):
        self.held = hold(inner)
        self.get = lambda: inner.seed

    seed = property(lambda self: self.get())


@pytest.mark.parametrize("hold", [lambda each: each, lambda each: {"inner": [each]}])
def test_seeds_of_inner_samplers_are_set_first(monkeypatch, hold):
    logged = []
    monkeypatch.setattr(f"{MODULE}.sampler_seeds.print_log", lambda text, *_: logged.append(text))
    states = run_of(SeedOfInner(SeedOfInner(Drawing(5, 1), hold), hold))[1]
    inner = Drawing(6, 1)
    run_of(SeedOfInner(SeedOfInner(inner, hold), hold), **{STATES: states})
    assert inner.seed == 5
    assert not logged


@pytest.mark.parametrize("content", [None, 3, [], [3], [{}], [dict(seeds="x", generators=[])]])
def test_entries_of_other_samplers_are_left_out(content):
    sampler = Drawing(5, 1)
    states = run_of(sampler, **{STATES: content})[1]
    assert sampler.seed == 5
    assert states[0]["seeds"] == [5]


def test_generators_of_other_kinds_are_left_out():
    states = run_of(Drawing(5, 1))[1]
    states[0]["generators"].reverse()
    assert run_of(Drawing(6, 1), **{STATES: states})[1][0]["seeds"] == [6]


@pytest.mark.parametrize("state", ["", "3", '"abc"', '{"bit_generator": "PCG64"}', "[1, [], null]"])
@pytest.mark.parametrize("place", range(5))
def test_malformed_states_of_generators_are_rejected(place, state):
    states = run_of(Drawing(5, 1))[1]
    kind = states[0]["generators"][place].partition(" ")[0]
    states[0]["generators"][place] = f"{kind} {state}"
    with pytest.raises(CheckpointError, match=rf"{STATES} has no valid state of a {kind} .*resume"):
        run_of(Drawing(5, 1), **{STATES: states})

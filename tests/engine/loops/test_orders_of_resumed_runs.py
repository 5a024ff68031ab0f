"""Orders of samplers that ``set_epoch``, their length or hooks change, in resumed runs."""

import itertools

import pytest
import torch
from mmengine.hooks import DistSamplerSeedHook, Hook
from shuffled_sampler import Shuffled
from tiny_run import ToyModel, toy_runner
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

SEED_HOOK = "DistSamplerSeedHook"  # of MMEngine


class ShufflesInPlace(Shuffled):
    """Sampler whose order depends on the number of calls of ``set_epoch``."""

    def __init__(self, draw):
        self.indices, self.draw = list(range(8)), draw

    def set_epoch(self, epoch):
        order = self.draw(epoch)
        self.indices = [self.indices[index] for index in order]

    def __iter__(self):
        return iter([*self.indices])


class Around(Shuffled):
    """Sampler without ``set_epoch`` around another one."""

    def __init__(self, sampler):
        self.sampler = sampler

    def __iter__(self):
        return iter(self.sampler)


class OfBudget(BatchSampler):
    """Batches limited by a sum, whose length is counted by drawing them."""

    def __init__(self, sampler, budget=12):
        super().__init__(sampler, budget, False)

    def __iter__(self):
        batch, total = [], 0
        for index in self.sampler:
            size = 1 + index % 7
            if total + size > self.batch_size and batch:
                yield batch
                batch, total = [], 0
            batch.append(index)
            total += size
        if batch:
            yield batch

    def __len__(self):
        return sum(1 for _ in self)


def by_epoch(epoch):
    return torch.randperm(8, generator=torch.Generator().manual_seed(epoch)).tolist()


def by_global_numbers(epoch):
    return torch.randperm(8).tolist()


def by_own_numbers():
    generator = torch.Generator().manual_seed(0)
    sampler = ShufflesInPlace(lambda epoch: torch.randperm(8, generator=sampler.own).tolist())
    sampler.own = generator
    return sampler


OF_EPOCH = {
    "epoch": lambda: ShufflesInPlace(by_epoch),
    "global": lambda: ShufflesInPlace(by_global_numbers),
    "own": by_own_numbers,
    "around": lambda: Around(by_own_numbers()),
}
OF_EPOCH |= {
    "global_length": lambda: OfBudget(RandomSampler(range(60))),
    "own_length": lambda: OfBudget(RandomSampler(range(60), generator=torch.Generator())),
}


@pytest.mark.parametrize("name", OF_EPOCH)
def test_resumed_runs_draw_what_an_uninterrupted_one_draws(tmp_path, name):
    def train(folder, epochs, resume=False):
        batch = OF_EPOCH[name]()
        batch = batch if isinstance(batch, BatchSampler) else BatchSampler(batch, 4, False)
        data = DataLoader([*range(60)], batch_sampler=batch, collate_fn=_collate)
        runner = toy_runner(
            folder,
            ToyModel(lambda weight, inputs: read.append(inputs.int().tolist()) or weight.sum()),
            train_cfg=dict(type="mim_plugins.ResumableEpochLoop", max_epochs=epochs),
            train_dataloader=data,
            resume=resume,
            hooks=[Lengths()],
            checkpoint=dict(by_epoch=True),
        )
        if resume:  # as with default_hooks.sampler_seed=None
            runner.hooks[:] = [each for each in runner.hooks if type(each).__name__ != SEED_HOOK]
        torch.rand(epochs)  # numbers of others
        runner.train()

    class Lengths(Hook):
        def after_train_epoch(self, runner):
            lengths.append(len(runner.train_dataloader))

    read, lengths = [], []
    train(tmp_path / "whole", 4)
    whole, whole_lengths = [*read], [*lengths]
    assert sum(whole_lengths) == len(whole)
    first = whole[: whole_lengths[0]]
    assert sorted(itertools.chain(*first)) == list(range(60 if "length" in name else 8))
    read.clear()
    lengths.clear()
    train(tmp_path / "pieces", 2)
    train(tmp_path / "pieces", 4, resume=True)
    assert (read, lengths) == (whole, whole_lengths)


class Ordered(Shuffled):
    """Sampler that makes its order when its epoch is set."""

    def set_epoch(self, epoch):
        self.indices = by_epoch(epoch)

    def __iter__(self):
        return iter(self.indices)


class SortsHalf(Hook):
    """Hook that reads the smaller indices first."""

    def before_train_epoch(self, runner):
        runner.train_dataloader.sampler.indices.sort(key=lambda index: index >= 4)


class OtherEpochs(DistSamplerSeedHook):
    """Hook that sets other epochs than MMEngine."""

    def before_train_epoch(self, runner):
        runner.train_dataloader.sampler.set_epoch(runner.epoch + 100)


@pytest.mark.parametrize("hook", [SortsHalf, OtherEpochs])
@pytest.mark.parametrize("loop", [dict(max_epochs=2), dict(max_iters=4)], ids=["epochs", "iters"])
def test_hooks_before_an_epoch_change_its_order(tmp_path, hook, loop):
    read, is_iterations = [], "max_iters" in loop
    runner = toy_runner(
        tmp_path,
        ToyModel(lambda weight, inputs: read.extend(inputs.int().tolist()) or weight.sum()),
        train_cfg=loop
        | dict(type=f"mim_plugins.Resumable{'Iter' if is_iterations else 'Epoch'}Loop"),
        train_dataloader=DataLoader([*range(8)], 4, sampler=Ordered(), collate_fn=_collate),
        hooks=[hook()],
        checkpoint=dict(interval=10),
    )
    runner.train()
    if hook is SortsHalf:
        first, second = (sorted(by_epoch(each), key=lambda index: index >= 4) for each in range(2))
    else:
        first, second = by_epoch(100), by_epoch(101)
    assert read == first + (by_epoch(1) if is_iterations else second)


def _collate(samples):
    return dict(inputs=[torch.tensor(float(sample)) for sample in samples])

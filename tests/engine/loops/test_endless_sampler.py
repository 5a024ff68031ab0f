import itertools
from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import (
    BaseDataset,
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    pseudo_collate,
)
from mmengine.evaluator import Evaluator
from tiny_run import ToyImages, toy_runner
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler

from mim_plugins.engine.loops import endless_sampler
from mim_plugins.engine.loops.endless_sampler import (
    check_batch_size,
    check_evaluation_sampler,
    check_training_sampler,
)
from mim_plugins.errors import ConfigError

EPOCHS = dict(type="mim_plugins.ResumableEpochLoop", max_epochs=2)
IMAGES = range(8)


class Cycle:
    """Endless sampler that does not resemble MMEngine's."""

    def __iter__(self):
        return itertools.cycle(IMAGES)

    def __len__(self):
        return len(IMAGES)


class CycledDefault(DefaultSampler):
    def __iter__(self):
        return itertools.cycle(super().__iter__())


class CycledBatches:
    """Endless batch sampler on a finite sampler."""

    sampler = DefaultSampler(IMAGES)

    def __iter__(self):
        return itertools.cycle([[0, 1], [2, 3]])

    def __len__(self):
        return 2


class WithoutLength:
    def __iter__(self):
        return iter(IMAGES)


class Around:
    """Batch sampler around another one."""

    def __init__(self, batch_sampler):
        self.batch_sampler = batch_sampler

    def __iter__(self):
        return iter(self.batch_sampler)

    def __len__(self):
        return len(self.batch_sampler)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(IMAGES)

    def __len__(self):
        return len(IMAGES)


class Source(BaseDataset):
    def load_data_list(self):
        return [dict() for _ in IMAGES]


def loader(sampler):
    return DataLoader(IMAGES, batch_size=4, sampler=sampler)


def endless_loaders():
    infinite = InfiniteSampler(IMAGES, seed=0)
    return [
        loader(infinite),
        DataLoader(IMAGES, batch_sampler=BatchSampler(infinite, 4, drop_last=True)),
        DataLoader(IMAGES, batch_sampler=Around(BatchSampler(infinite, 4, drop_last=True))),
        DataLoader(IMAGES, batch_size=None, sampler=infinite),
    ]


@pytest.mark.parametrize("endless", endless_loaders())
def test_endless_samplers_are_rejected_where_an_end_is_needed(endless):
    with pytest.raises(ConfigError, match=r"train_dataloader: InfiniteSampler never.*max_iters"):
        check_training_sampler(endless, by_epoch=True)
    check_training_sampler(endless, by_epoch=False)
    with pytest.raises(ConfigError, match=r"InfiniteSampler never.*val_dataloader\.sampler\.type"):
        check_evaluation_sampler(SimpleNamespace(dataloader=endless), "val_dataloader")


def test_mmdetections_multi_source_sampler_is_rejected():
    samplers = pytest.importorskip("mmdet.datasets.samplers")
    data = ConcatDataset([Source(), Source()])
    sampler = samplers.MultiSourceSampler(data, batch_size=4, source_ratio=[1, 1], seed=0)
    with pytest.raises(ConfigError, match="MultiSourceSampler never ends"):
        check_training_sampler(DataLoader(IMAGES, batch_sampler=sampler), by_epoch=True)


def test_evaluations_detect_unknown_endless_samplers_by_counting():
    with pytest.raises(ConfigError, match=r"test_dataloader: Cycle yields more than its length"):
        check_evaluation_sampler(SimpleNamespace(dataloader=loader(Cycle())), "test_dataloader")


@pytest.mark.parametrize("sampler", [CycledBatches(), CycledDefault(IMAGES)])
def test_evaluations_detect_all_endless_samplers(sampler):
    around = isinstance(sampler, CycledBatches)
    data = DataLoader(IMAGES, batch_sampler=sampler) if around else loader(sampler)
    with pytest.raises(ConfigError, match="yields more than its length"):
        check_evaluation_sampler(SimpleNamespace(dataloader=data), "val_dataloader")


@pytest.mark.parametrize("by_epoch", [True, False])
def test_loaders_without_length_are_rejected(by_epoch):
    with pytest.raises(ConfigError, match=r"train_dataloader.*'WithoutLength' has no len.*__len__"):
        check_training_sampler(loader(WithoutLength()), by_epoch)
    loop = SimpleNamespace(dataloader=loader(WithoutLength()))
    around = Around(BatchSampler(WithoutLength(), 4, drop_last=False))
    with pytest.raises(ConfigError, match=r"'WithoutLength' has no len"):
        check_training_sampler(DataLoader(IMAGES, batch_sampler=around), by_epoch)
    with pytest.raises(ConfigError, match=r"val_dataloader.*'WithoutLength' has no len"):
        check_evaluation_sampler(loop, "val_dataloader")


@pytest.mark.parametrize(
    "finite",
    [
        loader(DefaultSampler(IMAGES)),
        loader(RandomSampler(IMAGES)),
        loader(None),
        DataLoader(IMAGES, batch_size=None),
        DataLoader(Stream(), batch_size=4),
        None,
    ],
)
def test_finite_samplers_pass_and_preserve_the_random_state(finite):
    if finite is not None:
        check_training_sampler(finite, by_epoch=True)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    check_evaluation_sampler(SimpleNamespace(dataloader=finite), "val_dataloader")
    assert torch.rand(1) == expected


def test_epoch_loop_rejects_an_endless_sampler(tmp_path):
    runner = toy_runner(tmp_path, train_cfg=EPOCHS)
    with pytest.raises(ConfigError, match="train_dataloader: InfiniteSampler never ends"):
        runner.train()


@pytest.mark.parametrize("sampler", [Cycle(), DefaultSampler(IMAGES, shuffle=False)])
def test_epoch_is_as_long_as_its_loader(tmp_path, sampler):
    data = DataLoader(ToyImages(), batch_size=4, sampler=sampler, collate_fn=pseudo_collate)
    runner = toy_runner(tmp_path, train_cfg=EPOCHS, train_dataloader=data)
    runner.train()
    assert (runner.epoch, runner.iter, runner.max_iters) == (2, 4, 4)


@pytest.mark.parametrize("sampler", [RandomSampler(IMAGES), DefaultSampler(IMAGES), Cycle()])
def test_iteration_loop_accepts_any_sampler(tmp_path, sampler):
    data = DataLoader(ToyImages(), batch_size=4, sampler=sampler, collate_fn=pseudo_collate)
    runner = toy_runner(tmp_path, iterations=5, train_dataloader=data)
    runner.train()
    assert runner.iter == 5


@pytest.mark.parametrize("sampler", ["InfiniteSampler", "Cycle"])
@pytest.mark.parametrize("loop", ["epochs", "iterations"])
def test_endless_validation_is_rejected_before_training(tmp_path, loop, sampler):
    val = (
        DataLoader(ToyImages(), batch_size=4, sampler=Cycle(), collate_fn=pseudo_collate)
        if sampler == "Cycle"
        else dict(batch_size=4, dataset=ToyImages(), sampler=dict(type=sampler))
    )
    changed = (
        dict(train_cfg=EPOCHS, train_dataloader=DataLoader(ToyImages(), batch_size=4))
        if loop == "epochs"
        else {}
    )
    runner = toy_runner(
        tmp_path, val_dataloader=val, val_cfg=dict(), val_evaluator=Evaluator([]), **changed
    )
    with pytest.raises(ConfigError, match=f"val_dataloader: {sampler} .*set val_data"):
        runner.train()
    assert runner.iter == 0


class Listed:
    """Sampler of a given length that yields given indices."""

    def __init__(self, indices, length):
        self.indices, self.length = indices, length

    def __iter__(self):
        return iter(self.indices)

    def __len__(self):
        return self.length


@pytest.mark.parametrize(
    ("indices", "length", "told"),
    [
        ([0, 1], 4, "Listed yields 2 of its 4 indices, but the loop needs all"),
        ([], 3, "yields 0 of its 3 indices"),
        ([0, 8], 2, "yields the index 8 of 8 images"),
        ([-1, 0], 2, "yields the index -1 of 8 images"),
        ([0, 1, 2], 2, "yields more than its length"),
    ],
)
def test_evaluations_reject_samplers_that_break_their_length(indices, length, told):
    loader = DataLoader(IMAGES, sampler=Listed(indices, length))
    with pytest.raises(ConfigError, match=told):
        check_evaluation_sampler(SimpleNamespace(dataloader=loader), "val_dataloader")


def test_evaluations_warn_of_images_that_count_twice(monkeypatch):
    texts = []
    monkeypatch.setattr(endless_sampler, "print_log", lambda text, *_: texts.append(text))
    loader = DataLoader(IMAGES, sampler=Listed([0, 0, 1], 3))
    check_evaluation_sampler(SimpleNamespace(dataloader=loader), "val_dataloader")
    assert "yields 3 indices of only 2 images" in texts[0]


def test_an_epoch_that_ends_early_is_a_warning(tmp_path, monkeypatch):
    sampler = Listed(range(4), 8)  # one of two batches
    data = DataLoader(ToyImages(), batch_size=4, sampler=sampler, collate_fn=pseudo_collate)
    runner = toy_runner(tmp_path, train_cfg=EPOCHS, train_dataloader=data)
    texts = []
    monkeypatch.setattr(runner.logger, "warning", texts.append)
    runner.train()
    assert "epoch 2 ended after 1 of 2 batches" in texts[-1]


@pytest.mark.parametrize("loop", ["epochs", "iterations"])
def test_training_set_smaller_than_one_batch_is_rejected(tmp_path, loop):
    data = dict(dataset=ToyImages(), batch_size=9, drop_last=True)
    data["sampler"] = dict(type="DefaultSampler")
    changed = dict(train_cfg=EPOCHS) if loop == "epochs" else {}
    runner = toy_runner(tmp_path, train_dataloader=data, **changed)
    with pytest.raises(ConfigError, match=r"8 images, fewer than one batch of 9, .*batch_size"):
        runner.train()


class NoBatches:
    def __len__(self):
        return 0

    def __iter__(self):
        return iter([])


def test_batch_sampler_without_a_size_and_batches_is_rejected():
    with pytest.raises(ConfigError, match=r"8 images, fewer than one batch, so"):
        check_batch_size(DataLoader(IMAGES, batch_sampler=NoBatches()))

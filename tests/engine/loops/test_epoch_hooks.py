import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from tiny_run import ToyImages, toy_runner

from mim_plugins.engine.loops.epoch_hooks import call_epoch_hooks


class Drawing(Hook):
    """Hook that draws numbers at the start and the end of each epoch."""

    def __init__(self):
        self.drawn = {}

    def _draw(self, stage, runner):
        numbers = (random.random(), np.random.rand(), torch.rand(1).item())
        assert self.drawn.setdefault((stage, runner.epoch), numbers) == numbers

    def before_train_epoch(self, runner):
        self._draw("before", runner)

    def after_train_epoch(self, runner):
        self._draw("after", runner)


def train(folder, length, by_epoch, hook, resume=False):
    loop = (
        dict(type="mim_plugins.ResumableEpochLoop", max_epochs=length // 2)
        if by_epoch
        else dict(type="mim_plugins.ResumableIterLoop", max_iters=length)
    )
    sampler = dict(type="DefaultSampler")
    data = dict(batch_size=4, dataset=ToyImages(), sampler=sampler)
    toy_runner(folder, hooks=[hook], train_cfg=loop, train_dataloader=data, resume=resume).train()


@pytest.mark.parametrize("by_epoch", [True, False])
def test_hooks_of_epochs_draw_the_same_numbers_after_resuming(tmp_path, by_epoch):
    whole, pieces = Drawing(), Drawing()
    train(tmp_path / "whole", 6, by_epoch, whole)
    train(tmp_path / "pieces", 2, by_epoch, pieces)
    train(tmp_path / "pieces", 6, by_epoch, pieces, resume=True)
    assert pieces.drawn == whole.drawn
    assert len({*whole.drawn.values()}) == len(whole.drawn) == (6 if by_epoch else 2)


def test_end_of_an_epoch_draws_its_numbers_without_an_iteration(tmp_path):
    hook = Drawing()
    runner = toy_runner(tmp_path, hooks=[hook])
    call_epoch_hooks(runner, "after_train_epoch")
    torch.rand(3)
    call_epoch_hooks(runner, "after_train_epoch")  # equal numbers, see Drawing
    assert len(hook.drawn) == 1

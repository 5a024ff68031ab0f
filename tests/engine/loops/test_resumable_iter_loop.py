import random

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from tiny_run import (
    MRMAE,
    ToyImages,
    ToyModel,
    run,
    run_in_pieces,
    same,
    stop_workers,
    tiny_config,
    toy_runner,
)
from torch.utils.data import DataLoader, Sampler


@pytest.mark.parametrize(("workers", "sampler"), [(0, "InfiniteSampler"), (1, "DefaultSampler")])
def test_stopped_run_resumes_exactly_and_reads_no_image_twice(folder, read, workers, sampler):
    settings = dict(model=MRMAE, by_epoch=False, workers=workers)
    settings["train_dataloader.sampler.type"] = sampler
    weights, seen = run(tiny_config(folder, "whole", **settings))
    read.clear()
    resumed, seen_in_pieces = run_in_pieces(tiny_config(folder, "pieces", **settings), (2, 5))
    assert seen_in_pieces == seen
    assert len({entry[3] for entry in seen}) == 6
    assert same(weights, resumed)
    assert len(read) == (0 if workers else 6 * 4)


class Lazy(Sampler):
    """Sampler that reads its epoch and its first index while it yields indices."""

    epoch, first = 0, 1

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return 8

    def __iter__(self):
        for part in range(4):
            pair = [2 * part, 2 * part + 1]
            random.Random(8 * self.epoch + part).shuffle(pair)
            yield from ((each + self.first) % 8 for each in pair)


class SetsFirst(Hook):
    def before_train_epoch(self, runner):
        runner.train_dataloader.sampler.first = 0


def test_samplers_read_ahead_what_hooks_have_set(tmp_path):
    def train(folder, iterations, resume=False):
        data = DataLoader(ToyImages(), 2, sampler=Lazy(), num_workers=1, collate_fn=pseudo_collate)
        runner = toy_runner(
            tmp_path / folder,
            ToyModel(lambda weight, inputs: read.append(inputs.int()) or weight.sum()),
            iterations,
            [SetsFirst()],
            train_dataloader=data,
            resume=resume,
        )
        runner.train()
        stop_workers(runner)

    read = []
    train("whole", 12)
    whole = torch.cat(read).flatten().tolist()
    expected = Lazy()
    expected.first = 0
    assert whole[:8] == [*expected]
    assert len({str(whole[start : start + 8]) for start in (0, 8, 16)}) == 3
    read.clear()
    train("pieces", 5)
    train("pieces", 12, resume=True)
    assert torch.cat(read).flatten().tolist() == whole

import random
import shutil

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from tiny_run import (
    IMAGES,
    MIXMAE,
    MRMAE,
    ToyImages,
    run,
    run_in_pieces,
    same,
    tiny_config,
    toy_runner,
)
from torch.utils.data import DataLoader, Sampler
from two_processes import DISTRIBUTED, in_two_processes


@pytest.mark.parametrize(
    ("model", "workers", "persistent"),
    [(MIXMAE, 0, False), (MIXMAE, 2, True), (MRMAE, 2, False)],
    ids=["mixmae", "mixmae_persistent_workers", "mrmae_workers"],
)
def test_run_stopped_within_or_between_epochs_resumes_exactly(
    folder, read, model, workers, persistent
):
    settings = dict(model=model, workers=workers, persistent=persistent)
    weights, seen = run(tiny_config(folder, "whole", **settings))
    read.clear()
    random.random(), np.random.rand(3), torch.rand(17)  # earlier draws have no influence
    resumed, seen_in_pieces = run_in_pieces(tiny_config(folder, "pieces", **settings), (2, 3))
    assert seen_in_pieces == seen  # epochs, inner indices, learning rates, augmented images
    assert [entry[:2] for entry in seen] == [(e, i) for e in range(2) for i in range(3)]
    assert same(weights, resumed)
    assert len(read) == (0 if workers else 2 * IMAGES)  # no image of an earlier iteration


def test_augmentations_vary_with_the_epoch_not_with_the_workers(folder):
    sums = []
    for workers, persistent in ((0, False), (2, False), (2, True)):
        cfg = tiny_config(folder, "run", workers=workers, persistent=persistent)
        # one batch of all images, so shuffling does not change the sums
        cfg.train_dataloader.batch_size = IMAGES
        sums.append([entry[3] for entry in run(cfg)[1]])
    assert sums[0][0] != sums[0][1]
    assert sums[0] == sums[1] == sums[2]


def test_order_is_restored_with_a_random_seed(folder, read):
    cfg = tiny_config(folder, "run")
    cfg.randomness = dict(seed=None)
    run_in_pieces(cfg, (2,))
    assert sorted(read[:IMAGES]) == sorted(read[IMAGES:]) == list(range(IMAGES))


def test_other_loops_and_batches_resume_within_the_epoch(folder):
    cfg = tiny_config(folder, "run")
    cfg.train_cfg.type = "EpochBasedTrainLoop"
    run(cfg, stop_after=2)
    cfg.train_cfg.type = "mim_plugins.ResumableEpochLoop"
    _, seen = run(cfg, stop_after=5, resume=True)
    assert [entry[:2] for entry in seen] == [(0, 2), (1, 0), (1, 1)]

    cfg.train_dataloader.batch_size = 2  # 2 of 3 iterations are now 4 of 6
    _, seen = run(cfg, resume=True)
    assert [entry[:2] for entry in seen] == [(1, 4), (1, 5)]


def train_whole_and_in_pieces(rank, folder):
    settings = dict(workers=1, persistent=True, **DISTRIBUTED)
    settings["train_dataloader.batch_size"] = 2
    weights, seen = run(tiny_config(folder, "whole", **settings))
    resumed, seen_in_pieces = run_in_pieces(tiny_config(folder, "pieces", **settings), (2, 3))
    return seen, seen == seen_in_pieces and same(weights, resumed)


def test_two_processes_resume_exactly(folder):
    codes, returned = in_two_processes(train_whole_and_in_pieces, folder)
    assert codes == [0, 0]
    assert [returned[rank][1] for rank in range(2)] == [True, True]
    assert returned[0][0] != returned[1][0]  # the ranks read different images


class Varying(Sampler):
    """Sampler with another length in each epoch, drawn from a generator that it continues."""

    lengths = (4, 8, 3, 6)

    def __init__(self):
        self.generator = torch.Generator().manual_seed(1)
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.lengths[self.epoch]

    def __iter__(self):
        return iter(torch.randperm(8, generator=self.generator)[: len(self)].tolist())


class Shifting(Sampler):
    """Sampler that counts its epochs at their start."""

    number = 0

    def __len__(self):
        return 4

    def __iter__(self):
        self.number += 1
        return iter(range(self.number, self.number + 4))


class Interrupt(Hook):
    def __init__(self, iterations):
        self.iterations = [*iterations]

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter in self.iterations:
            self.iterations.remove(runner.iter)
            raise KeyboardInterrupt


@pytest.mark.parametrize("is_new", [False, True])
def test_training_interrupted_within_an_iteration_repeats_it(tmp_path, is_new):
    def runner(folder, hooks=(), **settings):
        train = dict(type="mim_plugins.ResumableEpochLoop", max_epochs=2)
        data = DataLoader(ToyImages(), 1, sampler=Shifting(), collate_fn=_collate)
        return toy_runner(folder, train_cfg=train, train_dataloader=data, hooks=hooks, **settings)

    whole = runner(tmp_path / "whole").train().weight
    some = runner(tmp_path / "some", [Interrupt([0, 2, 4, 5])])
    for count in (0, 2, 4, 5):
        with pytest.raises(KeyboardInterrupt):
            some.train()
        assert some.iter == count
        some.save_checkpoint(
            str(tmp_path), f"{count}.pth", meta=dict(epoch=some.epoch, iter=some.iter)
        )
    if is_new:
        file = str(tmp_path / "5.pth")
        some = runner(tmp_path / "some", resume=True, load_from=file)
    assert torch.equal(some.train().weight, whole)
    assert some.iter == 8


def _collate(batch):
    return dict(inputs=[each["inputs"] for each in batch])


def test_epochs_of_different_lengths_resume_at_any_batch(tmp_path):
    def train(folder, resume=False):
        runner = toy_runner(
            folder,
            train_cfg=dict(type="mim_plugins.ResumableEpochLoop", max_epochs=4),
            train_dataloader=DataLoader(
                ToyImages(),
                1,
                sampler=Varying(),
                collate_fn=_collate,
            ),
            param_scheduler=dict(type="LinearLR", start_factor=0.1, end=30, by_epoch=False),
            resume=resume,
        )
        return runner.train().weight, runner.iter

    weight, count = train(tmp_path / "whole")
    assert count == sum(Varying.lengths)
    for done in (6, 11, 12, 13, 18):  # in the second epoch, beyond the length of the first, ...
        folder = tmp_path / str(done)
        folder.mkdir()
        shutil.copy(tmp_path / "whole" / f"iter_{done}.pth", folder)
        resumed, end = train(folder, resume=True)
        assert end == count
        assert torch.equal(resumed, weight)

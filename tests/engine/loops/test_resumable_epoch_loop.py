import random

import numpy as np
import pytest
import torch
from tiny_run import IMAGES, MIXMAE, MRMAE, run, run_in_pieces, same, tiny_config, write_images
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.datasets import UnlabeledImageFolder


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images")
    return tmp_path


@pytest.mark.parametrize(
    ("model", "workers", "persistent"),
    [(MIXMAE, 0, False), (MIXMAE, 2, True), (MRMAE, 2, False)],
    ids=["mixmae", "mixmae_persistent_workers", "mrmae_workers"],
)
def test_run_stopped_within_or_between_epochs_resumes_exactly(folder, model, workers, persistent):
    settings = dict(model=model, workers=workers, persistent=persistent)
    weights, seen = run(tiny_config(folder, "whole", **settings))
    resumed, seen_in_pieces = run_in_pieces(tiny_config(folder, "pieces", **settings), (2, 3))
    assert seen_in_pieces == seen  # epochs, inner indices, learning rates, augmented images
    assert [entry[:2] for entry in seen] == [(e, i) for e in range(2) for i in range(3)]
    assert same(weights, resumed)


def test_augmentations_vary_with_the_epoch_not_with_the_workers(folder):
    sums = {}
    for workers, persistent in ((0, False), (2, False), (2, True)):
        cfg = tiny_config(folder, f"{workers}{persistent}", workers=workers,
                          persistent=persistent)  # fmt: skip
        cfg.train_dataloader.batch_size = (
            IMAGES  # one batch of all images, so shuffling does not change the sums
        )
        sums[workers, persistent] = [entry[3] for entry in run(cfg)[1]]
    first, second = sums[0, False]
    assert first != second
    assert sums[0, False] == sums[2, False] == sums[2, True]


def test_resuming_reads_no_past_image(folder, monkeypatch):
    cfg = tiny_config(folder, "run")
    run(cfg, stop_after=2)
    read = []
    original = UnlabeledImageFolder.__getitem__
    monkeypatch.setattr(
        UnlabeledImageFolder,
        "__getitem__",
        lambda self, index: read.append(int(index)) or original(self, index),
    )
    run(cfg, stop_after=3, resume=True)
    assert len(read) == 4


def test_order_is_restored_with_a_random_seed(folder):
    cfg = tiny_config(folder, "run")
    cfg.randomness = dict(seed=None)
    order = []
    original = UnlabeledImageFolder.__getitem__

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            UnlabeledImageFolder,
            "__getitem__",
            lambda self, index: order.append(int(index)) or original(self, index),
        )
        run_in_pieces(cfg, (2,))
    assert sorted(order[:IMAGES]) == sorted(order[IMAGES:]) == list(range(IMAGES))


def test_checkpoint_of_mmengines_loop_resumes_within_the_epoch(folder):
    cfg = tiny_config(folder, "run")
    cfg.train_cfg.type = "EpochBasedTrainLoop"
    run(cfg, stop_after=2)
    cfg.train_cfg.type = "mim_plugins.ResumableEpochLoop"
    _, seen = run(cfg, resume=True)
    assert [entry[:2] for entry in seen] == [(0, 2), (1, 0), (1, 1), (1, 2)]


def test_changed_epoch_length_keeps_the_fraction_of_the_epoch(folder):
    cfg = tiny_config(folder, "run")
    run(cfg, stop_after=2)  # of 3
    cfg.train_dataloader.batch_size = 2  # 6 iterations per epoch
    _, seen = run(cfg, resume=True)
    assert [entry[:2] for entry in seen][:3] == [(0, 4), (0, 5), (1, 0)]


def test_random_numbers_do_not_depend_on_earlier_draws(folder):
    weights, _ = run(tiny_config(folder, "one"))
    random.random(), np.random.rand(3), torch.rand(17)
    again, _ = run(tiny_config(folder, "two"))
    assert same(weights, again)


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

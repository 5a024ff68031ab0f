import pytest
import torch
from checkpoint_runs import names
from mmengine.hooks import Hook
from tiny_run import ToyImages, toy_runner


class Stop(Hook):
    """Hook that ends the training after an iteration, like MMEngine's EarlyStoppingHook."""

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, *args, **kwargs):
        runner.train_loop.stop_training |= runner.iter + 1 >= self.iteration


BY_EPOCH = dict(
    train_cfg=dict(type="mim_plugins.ResumableEpochLoop", max_epochs=9),
    train_dataloader=dict(batch_size=4, dataset=ToyImages(), sampler=dict(type="DefaultSampler")),
)


@pytest.mark.parametrize(
    ("checkpoint", "loop", "last"),
    [
        (dict(by_epoch=False), {}, "iter_3.pth"),
        (dict(by_epoch=False), BY_EPOCH, "iter_4.pth"),
        (dict(by_epoch=True), BY_EPOCH, "epoch_2.pth"),
        (dict(by_epoch=False, save_optimizer=False), {}, "iter_3.pth"),
    ],
)
@pytest.mark.parametrize("interval", [1, 10])
def test_end_of_a_run_that_stops_early_is_saved(tmp_path, checkpoint, loop, last, interval):
    """An epoch has two iterations."""
    checkpoint = dict(interval=interval, published_keys=["state_dict"]) | checkpoint
    (tmp_path / "interrupted.pth").write_bytes(b"of an earlier process")
    runner = toy_runner(tmp_path, iterations=9, checkpoint=checkpoint, hooks=[Stop(3)], **loop)
    runner.train()
    saved = torch.load(tmp_path / last, weights_only=False)
    assert saved["state_dict"]["weight"].tolist() == runner.model.weight.tolist()
    assert saved["meta"]["iter"] == runner.iter
    regular = [name for name in names(tmp_path) if "-" not in name]
    assert "interrupted.pth" not in regular
    assert interval == 1 or regular == [last]
    assert [name.split("-")[0] for name in names(tmp_path) if "-" in name] == [last[:-4]]


def test_early_stop_saves_nothing_without_save_last(tmp_path):
    checkpoint = dict(interval=2, save_last=False)
    toy_runner(tmp_path, iterations=9, checkpoint=checkpoint, hooks=[Stop(3)]).train()
    assert names(tmp_path) == ["iter_2.pth"]


def test_run_that_trains_nothing_saves_nothing(tmp_path):
    toy_runner(tmp_path, iterations=3).train()
    before = (tmp_path / "iter_3.pth").stat().st_mtime_ns
    toy_runner(tmp_path, iterations=3, resume=True).train()
    assert (tmp_path / "iter_3.pth").stat().st_mtime_ns == before
    assert names(tmp_path) == [f"iter_{i}.pth" for i in (1, 2, 3)]


@pytest.mark.parametrize("name", ["interrupted.pth", "timed_1.pth", "best_acc_iter_3.pth"])
@pytest.mark.parametrize(("save_last", "left"), [(True, ["iter_3.pth"]), (False, [])])
def test_end_in_another_file_becomes_a_regular_one(tmp_path, name, save_last, left):
    """Such a run is killed in its last validation, or stopped by the missed one."""
    toy_runner(tmp_path, iterations=3).train()
    for file in ("iter_1.pth", "iter_2.pth", "last_checkpoint"):
        (tmp_path / file).unlink()
    (tmp_path / "iter_3.pth").rename(tmp_path / name)
    checkpoint = dict(save_last=save_last)
    hooks = [dict(type="mim_plugins.TimedCheckpointHook")]
    runner = toy_runner(tmp_path, iterations=3, checkpoint=checkpoint, hooks=hooks, resume=True)
    runner.train()
    kept = [] if save_last and not name.startswith("best") else [name]
    assert names(tmp_path) == sorted([*kept, *left])
    for file in left:
        saved = torch.load(tmp_path / file, weights_only=False)
        assert saved["state_dict"]["weight"].tolist() == runner.model.weight.tolist()

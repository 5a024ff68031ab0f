import math
import os

import pytest
from checkpoint_runs import hook_of, logged_runner, names
from mmengine.hooks import Hook
from tiny_run import toy_runner

from mim_plugins.engine.hooks import TimedCheckpointHook
from mim_plugins.engine.optim.sharded_state_transfer import ShardedStateTransfer


def test_best_file_is_kept_until_a_better_one_is_complete(tmp_path, monkeypatch):
    runner = toy_runner(tmp_path, checkpoint=dict(save_best="acc", rule="greater"))
    hook = hook_of(runner)
    runner.train()
    hook.after_val_epoch(runner, dict(acc=0.5))
    (best,) = tmp_path.glob("best_*.pth")
    first = tmp_path / "first.pth"
    os.rename(best, first)
    hook.best_ckpt_path = str(first)

    def fail(*_):
        assert first.is_file()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        hook.after_val_epoch(runner, dict(acc=0.6))
    assert first.is_file()
    assert runner.message_hub.get_info("best_score") == 0.5
    hook.after_val_epoch(runner, dict(acc=0.6))
    hook.finish_saving()
    assert not first.is_file()
    assert best.is_file()


@pytest.mark.parametrize("save_best", [None, "acc"])
def test_validation_gathers_no_optimizer_state(tmp_path, monkeypatch, save_best):
    runner = toy_runner(
        tmp_path, checkpoint=dict(save_best=save_best, rule="greater" if save_best else None)
    )
    runner.train()
    hook = hook_of(runner)
    runner.message_hub.update_info("best_score", 0.9)
    gathered = []
    monkeypatch.setattr(ShardedStateTransfer, "start", lambda self, runner: gathered.append(runner))
    hook.after_val_epoch(runner, dict(acc=0.5))
    assert gathered == []


@pytest.mark.parametrize("metrics", [{}, dict(acc=0.5, loss=math.nan)])
def test_metric_without_a_best_checkpoint_ends_no_run(tmp_path, caplog, metrics):
    class Validate(Hook):
        """Hook that validates once if there are metrics."""

        def after_train_iter(self, runner, *args, **kwargs):
            if metrics and runner.iter == 1:
                hook_of(runner).after_val_epoch(runner, metrics)

    keys = dict(published_keys=["state_dict"], save_best=["acc", "loss"], rule=["greater", "less"])
    hooks = [Validate(), TimedCheckpointHook()]
    (tmp_path / "timed_0.pth").write_bytes(b"of an earlier process")
    runner = logged_runner(caplog, tmp_path, checkpoint=keys, hooks=hooks)
    runner.train()
    published = {name.split("-")[0] for name in names(tmp_path) if "-" in name}
    assert published == ({"iter_4", "best_acc_iter_1"} if metrics else {"iter_4"})
    assert "metric of save_best has no best checkpoint to publish" in caplog.text
    assert not list(tmp_path.glob("timed_*"))

import os

import pytest
from tiny_run import toy_runner

from mim_plugins.engine.hooks.preemption_hook import checkpoint_hook


def validate(hook, runner, **metrics):
    hook.after_val_epoch(runner, metrics)
    hook.finish_saving()


def best_of(folder):
    return sorted(path.name for path in folder.glob("best_*"))


@pytest.mark.parametrize(
    "settings",
    [
        dict(by_epoch=True, interval=-1, save_last=False),
        dict(by_epoch=False),
        dict(save_best=["acc", "iou"]),
        dict(background=False),
    ],
)
def test_best_file_stays_if_the_new_one_has_its_name(tmp_path, settings):
    """In iteration-based runs, hooks that count epochs give all best files the same name."""
    settings = dict(save_best="acc", rule="greater", interval=2) | settings
    runner = toy_runner(tmp_path, iterations=2, checkpoint=settings)
    runner.train()
    hook = checkpoint_hook(runner, "test")
    step = "epoch_0" if hook.by_epoch else "iter_2"
    expected = [f"best_{name}_{step}.pth" for name in hook.key_indicators]
    written = set()
    for score in (0.1, 0.2, 0.3, 0.4):
        validate(hook, runner, acc=score, iou=score)
        assert best_of(tmp_path) == expected
        written.add((tmp_path / expected[0]).stat().st_mtime_ns)
    assert len(written) == 4


def test_failed_first_best_file_leaves_no_path(tmp_path, monkeypatch):
    runner = toy_runner(tmp_path, iterations=1, checkpoint=dict(save_best="acc", rule="greater"))
    runner.train()
    hook = checkpoint_hook(runner, "test")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: os.stat(tmp_path / "missing"))
        validate(hook, runner, acc=0.5)
    assert hook.best_ckpt_path is None
    validate(hook, runner, acc=0.4)
    assert hook.best_ckpt_path == str(tmp_path / "best_acc_iter_1.pth")

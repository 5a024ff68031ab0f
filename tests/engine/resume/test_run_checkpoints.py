import logging
from types import SimpleNamespace

import pytest
from checkpoint_runs import hook_of, names
from mmengine.hooks import Hook
from tiny_run import toy_runner

from mim_plugins.checkpoints import write_atomically
from mim_plugins.engine.resume.run_checkpoints import (
    choose_resumable,
    has_regular_end,
    last_of_training,
    newest_complete,
    next_try,
    remove_partial_files,
)

NONE = "there is no complete checkpoint of this run"


def test_newest_complete_file_is_reported(tmp_path):
    run = SimpleNamespace(work_dir=str(tmp_path), _load_from=None)
    assert newest_complete(str(tmp_path), run, None) == NONE
    assert newest_complete(str(tmp_path / "lost"), run, "old.pth") == NONE
    toy_runner(tmp_path, iterations=2).train()
    for number, found in ((2, "iter_2.pth"), (1, "iter_1.pth")):
        expected = f"the newest complete checkpoint is '{tmp_path / found}'"
        assert newest_complete(str(tmp_path), run, None) == expected
        assert choose_resumable(run, None)[0] == str(tmp_path / found)
        file = tmp_path / f"iter_{number}.pth"
        file.write_bytes(file.read_bytes()[:500])
    assert newest_complete(str(tmp_path), run, None) == NONE


@pytest.mark.parametrize("out_dir", ["run", "out"])
def test_run_resumes_from_its_out_dir(tmp_path, out_dir):
    """MMEngine adds the name of the work folder, unless ``out_dir`` is the work folder."""
    checkpoint = dict(out_dir=str(tmp_path / out_dir))
    toy_runner(tmp_path / "run", iterations=2, checkpoint=checkpoint).train()
    runner = toy_runner(tmp_path / "run", iterations=3, checkpoint=checkpoint, resume=True)
    runner.call_hook("before_run")
    file = tmp_path / ("run" if out_dir == "run" else "out/run") / "iter_2.pth"
    assert runner._load_from == str(file)


def test_last_saved_file_counts_on_other_storage(tmp_path):
    run = SimpleNamespace(work_dir=str(tmp_path), _load_from=None)
    assert newest_complete(None, run, "s3://a/iter_1.pth").endswith("'s3://a/iter_1.pth'")
    assert newest_complete(None, run, None) == NONE
    assert choose_resumable(run, "s3://a") == (None, [])


def test_incomplete_files_of_a_killed_process_are_removed(tmp_path):
    run = SimpleNamespace(work_dir=str(tmp_path), logger=logging.getLogger())
    for name in ("iter_1.pth", "last_checkpoint", "notes.txt"):
        used = []
        write_atomically(tmp_path / name, used.append)
        used[0].touch()  # as if the process had been killed before renaming it
    remove_partial_files(run, str(tmp_path))
    (left,) = tmp_path.glob("*.partial")
    assert left.name.startswith("notes.txt")


@pytest.mark.parametrize(
    ("step", "interval", "save_last", "expected"),
    [
        (10, 10, True, "next interval"),
        (10, 10, False, "the end of the run tries"),
        (10, 5, False, "next interval"),
        (10, -1, True, "next interval"),
        (15, 5, True, "last save"),
        (15, 10, True, "last save"),
    ],
)
def test_message_mentions_only_intervals_that_follow(step, interval, save_last, expected):
    assert expected in next_try(step, 15, interval, save_last)


@pytest.mark.parametrize(
    ("checkpoint", "file"),
    [
        ({}, "run/iter_4.pth"),
        (dict(save_optimizer=False), "run/iter_4.pth"),
        (dict(save_optimizer=False, out_dir="out"), "out/run/iter_4.pth"),
        (dict(out_dir="out", max_keep_ckpts=1), "out/run/iter_4.pth"),
        (dict(out_dir="run"), "run/iter_4.pth"),
        (dict(interval=3, save_last=False), "run/iter_3.pth"),
        (dict(interval=3, save_last=False, save_optimizer=False), "run/iter_3.pth"),
        (dict(interval=-1, save_last=False), None),
    ],
)
def test_last_file_of_a_training_is_found(tmp_path, checkpoint, file):
    if "out_dir" in checkpoint:
        checkpoint = checkpoint | dict(out_dir=str(tmp_path / checkpoint["out_dir"]))
    runner = toy_runner(tmp_path / "run", checkpoint=checkpoint)
    runner.train()
    expected = None if file is None else tmp_path / file
    assert last_of_training(runner) == expected
    if checkpoint.get("save_optimizer", True):  # nothing is left to train
        again = toy_runner(tmp_path / "run", checkpoint=checkpoint, resume=True)
        again.train()
        assert last_of_training(again) == expected


def test_last_file_may_be_newer_than_the_regular_ones(tmp_path):
    class Save(Hook):
        """Hook that saves as TimedCheckpointHook does."""

        def after_train_iter(self, runner, *args, **kwargs):
            if runner.iter == 3:
                hook_of(runner).save_iteration(runner, "timed_0.pth", "")

    checkpoint = dict(interval=3, save_last=False)
    runner = toy_runner(tmp_path, iterations=5, checkpoint=checkpoint, hooks=[Save()])
    runner.train()
    assert names(tmp_path) == ["iter_3.pth", "timed_0.pth"]
    assert last_of_training(runner).name == "timed_0.pth"


@pytest.mark.parametrize(
    ("load_from", "expected"),
    [
        ("s3://bucket/run/iter_3.pth", True),
        ("s3://bucket/other/iter_3.pth", False),
        ("s3://bucket/run/best/iter_3.pth", False),
        ("/old/run/iter_3.pth", False),
        ("iter_3.pth", False),
        ("s3://bucket/run/interrupted.pth", False),
        (None, False),
    ],
)
@pytest.mark.parametrize("out_dir", ["s3://bucket/run", "s3://bucket/run/"])
def test_the_end_on_another_storage_lies_in_its_out_dir(load_from, expected, out_dir, tmp_path):
    hook = SimpleNamespace(
        out_dir=out_dir, saved=None, first_iter=3, filename_tmpl="iter_{}.pth", last_ckpt=None
    )
    runner = SimpleNamespace(work_dir=str(tmp_path), _resume=True, _load_from=load_from, iter=3)
    assert has_regular_end(hook, runner) == expected

import os
import shutil

import pytest
import torch
from checkpoint_runs import logged_runner, names, pointed_at
from tiny_run import toy_runner

from mim_plugins.checkpoints import find_corruption, has_digest
from mim_plugins.engine.hooks import AtomicCheckpointHook
from mim_plugins.engine.resume.atomic_local_backend import AtomicLocalBackend
from mim_plugins.errors import CheckpointError, ConfigError


class Killed(BaseException):
    pass


@pytest.mark.parametrize("keep", [1, 2, -1])
def test_newest_files_are_kept_and_the_pointer_is_updated(tmp_path, keep):
    toy_runner(tmp_path, iterations=4, checkpoint=dict(max_keep_ckpts=keep)).train()
    kept = range(1, 5) if keep == -1 else range(5 - keep, 5)
    assert names(tmp_path) == [f"iter_{i}.pth" for i in kept]
    assert pointed_at(tmp_path) == str(tmp_path / "iter_4.pth")
    with (tmp_path / "iter_4.pth").open("rb") as file:
        assert has_digest(file)
        assert find_corruption(file) is None
    runner = toy_runner(tmp_path, iterations=6, checkpoint=dict(max_keep_ckpts=keep), resume=True)
    runner.train()
    kept = range(1, 7) if keep == -1 else range(7 - keep, 7)
    assert names(tmp_path) == [f"iter_{i}.pth" for i in kept]


@pytest.mark.parametrize("moment", ["write", "rename", "pointer", "remove"])
def test_kill_at_any_moment_of_a_save_leaves_a_complete_file(tmp_path, monkeypatch, moment):
    """Kill the second save with ``max_keep_ckpts=1``; the run resumes from either checkpoint."""

    def kill_at(owner, name, matches):
        original = getattr(owner, name)

        def replacement(*arguments):
            if matches(*map(str, arguments)):
                raise Killed
            return original(*arguments)

        monkeypatch.setattr(owner, name, replacement)

    if moment == "write":
        kill_at(AtomicLocalBackend, "put", lambda *a: "iter_2" in a[-1])
    elif moment == "rename":
        kill_at(os, "replace", lambda source, target: "iter_2" in target)
    elif moment == "pointer":
        written = []
        kill_at(
            os, "replace",
            lambda source, target: "last" in target and (written.append(1) or len(written) == 2),
        )  # fmt: skip
    else:
        kill_at(AtomicLocalBackend, "remove", lambda *a: "iter_1" in a[-1])
    with pytest.raises(Killed):
        toy_runner(tmp_path, checkpoint=dict(max_keep_ckpts=1)).train()
    monkeypatch.undo()

    runner = toy_runner(tmp_path, iterations=5, resume=True)
    runner.call_hook("before_run")
    reached = torch.load(runner._load_from, weights_only=False)["meta"]["iter"]
    assert reached == (2 if moment in ("pointer", "remove") else 1)
    runner.train()
    assert runner.iter == 5
    assert not list(tmp_path.glob("*.partial"))


def test_nothing_to_resume_starts_a_new_run_with_a_warning(tmp_path, caplog):
    runner = logged_runner(caplog, tmp_path, resume=True)
    runner.train()
    assert "training starts at iteration 0" in caplog.text
    assert runner.iter == 4


def test_corrupt_files_alone_are_an_error_not_a_new_run(tmp_path):
    toy_runner(tmp_path, checkpoint=dict(max_keep_ckpts=2)).train()
    for path in tmp_path.glob("*.pth"):
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="none can be resumed from"):
        toy_runner(tmp_path, resume=True).train()
    with pytest.raises(CheckpointError, match="is corrupt"):
        toy_runner(tmp_path, resume=True, load_from=str(tmp_path / "iter_4.pth")).train()


def test_unwritable_pointer_costs_no_checkpoint(tmp_path, caplog):
    (tmp_path / "last_checkpoint").mkdir()
    runner = logged_runner(caplog, tmp_path, iterations=3, checkpoint=dict(max_keep_ckpts=1))
    runner.train()
    assert names(tmp_path) == ["iter_3.pth"]
    assert "last_checkpoint cannot be written" in caplog.text
    assert "could NOT be saved" not in caplog.text
    runner = toy_runner(tmp_path, iterations=4, resume=True)
    runner.train()
    assert runner.iter == 4


def test_files_of_mmengines_hook_and_moved_folders_are_resumed(tmp_path):
    plain = dict(type="CheckpointHook")
    toy_runner(tmp_path / "old", iterations=2, checkpoint=plain).train()
    with (tmp_path / "old/iter_2.pth").open("rb") as file:
        assert not has_digest(file)
    shutil.move(tmp_path / "old", tmp_path / "new")
    runner = toy_runner(tmp_path / "new", iterations=3, resume=True)
    runner.train()
    assert runner.iter == 3
    assert pointed_at(tmp_path / "new") == str(tmp_path / "new/iter_3.pth")


@pytest.mark.parametrize("name", ["intervall", "meta", "anything"])
def test_unknown_argument_is_rejected_at_construction(name):
    with pytest.raises(TypeError, match=f"AtomicCheckpointHook has no '{name}'"):
        AtomicCheckpointHook(interval=1, **{name: 1})


def test_template_is_checked_at_construction():
    with pytest.raises(ConfigError, match=r"filename_tmpl='latest\.pth' must be a name"):
        AtomicCheckpointHook(interval=1, max_keep_ckpts=1, filename_tmpl="latest.pth")

import os
import threading
from pathlib import Path

import pytest
from disks import small_disk
from mmengine.config import Config
from mmengine.hooks import CheckpointHook

from mim_plugins.cli import WorkDirLock, work_dir
from mim_plugins.errors import WorkDirError


def config(folder, **changes):
    return Config(dict(work_dir=str(folder), launcher="none") | changes)


def fill(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


CHECKPOINTS = [
    "epoch_3.pth",
    "iter_3.pth",
    "interrupted.pth",
    "timed_1.pth",
    "best_epoch_3.pth",
    "best_accuracy_top1_epoch_3.pth",
    "best_coco_bbox_mAP_iter_3.pth",
]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_second_start_lists_the_options(tmp_path, name):
    fill(tmp_path, name, "last_checkpoint")
    with pytest.raises(WorkDirError) as refused, work_dir.claim(config(tmp_path)):
        pass
    for part in (str(tmp_path), name, "--resume", "--overwrite", "--work-dir"):
        assert part in str(refused.value)
    assert (tmp_path / name).exists()
    assert not (tmp_path / "run.lock").exists()


def test_file_names_and_folder_of_the_checkpoint_hook_are_used(tmp_path):
    hook = dict(checkpoint=dict(filename_tmpl="swin.{:04d}.pth", out_dir=str(tmp_path / "out")))
    fill(tmp_path / "out/run", "swin.0003.pth", "swinx0003.pth")
    (tmp_path / "out/run/epoch_1.pth").mkdir()  # a DeepSpeed checkpoint
    cfg = config(tmp_path / "run", default_hooks=hook)
    found = {path.name for path in work_dir.earlier_checkpoints(cfg)}
    assert found == {"swin.0003.pth", "epoch_1.pth"}
    cfg.default_hooks.checkpoint.out_dir = cfg.work_dir
    fill(tmp_path / "run", "swin.0004.pth")
    assert [path.name for path in work_dir.earlier_checkpoints(cfg)] == ["swin.0004.pth"]
    cfg.default_hooks.checkpoint.out_dir = "s3://bucket"
    assert work_dir.earlier_checkpoints(cfg) == []


def test_hooks_that_a_python_config_has_built_count(tmp_path):
    fill(tmp_path / "out/run", "swin.0003.pth")
    fill(tmp_path / "other/run", "epoch_3.pth")
    built = CheckpointHook(filename_tmpl="swin.{:04d}.pth", out_dir=str(tmp_path / "out"))
    hooks = [CheckpointHook(out_dir=str(tmp_path / "other"))]
    cfg = config(tmp_path / "run", default_hooks=dict(checkpoint=built), custom_hooks=hooks)
    found = {path.name for path in work_dir.earlier_checkpoints(cfg)}
    assert found == {"swin.0003.pth", "epoch_3.pth"}


def test_two_runs_cannot_share_a_checkpoint_folder(tmp_path):
    hook = dict(checkpoint=dict(out_dir=str(tmp_path / "out")))
    first = config(tmp_path / "a/run", default_hooks=hook)
    second = config(tmp_path / "b/run", default_hooks=hook, resume=True)
    with work_dir.claim(first):
        held = pytest.raises(WorkDirError, match=f"{tmp_path / 'out/run'}' is in use by the run")
        with held, work_dir.claim(second):
            pass
        with work_dir.claim(config(tmp_path / "b/other", default_hooks=hook)):
            pass
    with work_dir.claim(second):
        pass
    assert not list(tmp_path.rglob("run.lock"))


@pytest.mark.parametrize("kind", ["CheckpointHook", "mim_plugins.AtomicCheckpointHook"])
def test_folders_of_all_checkpoint_hooks_are_used(tmp_path, kind):
    hooks = [dict(type=kind, filename_tmpl="mine_{}.pth"), dict(type="EMAHook")]
    hooks.append(dict(type=kind, out_dir=str(tmp_path / "out"), filename_tmpl="other_{}.pth"))
    fill(tmp_path / "run", "mine_1.pth", "other_1.pth", "epoch_1.pth")
    fill(tmp_path / "out/run", "mine_2.pth", "other_2.pth")
    named, *others = hooks
    cfg = config(tmp_path / "run", default_hooks=dict(mine=named), custom_hooks=others)
    found = {path.name for path in work_dir.earlier_checkpoints(cfg)}
    assert found == {"mine_1.pth", "epoch_1.pth", "other_2.pth"}


def test_other_files_are_not_checkpoints(tmp_path):
    fill(tmp_path, "pretrained.pth", "swin_b.pth", "epoch_x.pth", "my_epoch_3.pth")
    fill(tmp_path, "last_checkpoint", "epoch_3.pth.12.partial")
    with work_dir.claim(config(tmp_path)) as outdated:
        assert outdated == []


def test_resuming_removes_nothing(tmp_path):
    fill(tmp_path, "epoch_3.pth")
    for overwrite in (False, True):
        with work_dir.claim(config(tmp_path, resume=True), overwrite) as outdated:
            work_dir.remove_checkpoints(outdated, tmp_path)
    assert (tmp_path / "epoch_3.pth").exists()


def test_overwriting_removes_checkpoints_of_the_earlier_run(tmp_path):
    fill(tmp_path, *CHECKPOINTS, "last_checkpoint", "pretrained.pth", "swin_b_600e.py")
    fill(tmp_path / "iter_9.pth", "zero_pp_rank_0.pt")
    with work_dir.claim(config(tmp_path), overwrite=True) as outdated:
        assert len(outdated) == len(CHECKPOINTS) + 1
        assert all(path.exists() for path in outdated)
        work_dir.remove_checkpoints(outdated, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"pretrained.pth", "swin_b_600e.py"}


def test_overwriting_removes_the_pointer_also_with_an_out_dir(tmp_path):
    run = tmp_path / "run"
    fill(run, "last_checkpoint")
    fill(tmp_path / "out/run", "epoch_3.pth", "last_checkpoint.txt")
    cfg = config(run, default_hooks=dict(checkpoint=dict(out_dir=str(tmp_path / "out"))))
    with work_dir.claim(cfg, overwrite=True) as outdated:
        work_dir.remove_checkpoints(outdated, cfg.work_dir)
    assert not (run / "last_checkpoint").exists()
    assert [path.name for path in (tmp_path / "out/run").iterdir()] == ["last_checkpoint.txt"]


@pytest.mark.parametrize(
    "settings",
    [
        lambda file: dict(load_from=file),
        lambda file: dict(model=dict(backbone=dict(init_cfg=dict(checkpoint=file)))),
        lambda file: dict(custom_hooks=[dict(type="Hook", teachers=[file])]),
    ],
)
def test_checkpoint_loaded_by_the_config_is_not_overwritten(tmp_path, monkeypatch, settings):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "run", "epoch_3.pth")
    monkeypatch.setenv("HOME", str(tmp_path))
    fill(tmp_path / "run/iter_3.pth", "model.pt")  # in DeepSpeed's format
    absolute = str(tmp_path / "run/epoch_3.pth")
    for file in (
        absolute,
        "run/epoch_3.pth",
        "./run/../run/epoch_3.pth",
        "~/run/epoch_3.pth",
        f"local://{absolute}",
        f"file://{absolute}",
        Path(absolute),
        "run/iter_3.pth/model.pt",
    ):
        cfg = config(tmp_path / "run", **settings(file))
        with pytest.raises(WorkDirError, match=r"_3\.pth', which the config loads"):  # noqa: SIM117
            with work_dir.claim(cfg, overwrite=True):
                pass
    assert (tmp_path / "run/epoch_3.pth").exists()


def test_folder_in_use_is_rejected_with_any_option(tmp_path):
    with WorkDirLock(tmp_path):
        for resume, overwrite in ((False, False), (True, False), (False, True)):
            with pytest.raises(WorkDirError, match="is in use"):  # noqa: SIM117
                with work_dir.claim(config(tmp_path, resume=resume), overwrite):
                    pass


def test_other_processes_do_not_lock_the_folder(tmp_path, monkeypatch):
    fill(tmp_path, "epoch_3.pth")
    monkeypatch.setenv("RANK", "1")
    with WorkDirLock(tmp_path), work_dir.claim(config(tmp_path, launcher="pytorch")) as outdated:
        assert outdated == []
    with (
        pytest.raises(WorkDirError),
        work_dir.claim(config(tmp_path)),
    ):  # a leftover environment variable
        pass


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_unwritable_disk_raises_one_clear_error(tmp_path, fault):
    with small_disk(tmp_path / "disk", "2m") as disk:
        disk.fill() if fault == "full" else disk.freeze()
        with pytest.raises(WorkDirError) as refused, work_dir.claim(config(disk.folder / "run")):
            pass
        if fault == "read-only":
            disk.thaw()
    reason = "No space left on device" if fault == "full" else "Read-only file system"
    assert f"'{disk.folder}/run' cannot be written: {reason}" in str(refused.value)


@pytest.mark.parametrize("folder", ["file", "file/run", "loop/run", "x" * 300])
def test_folder_that_cannot_be_created_raises_one_clear_error(tmp_path, folder):
    (tmp_path / "file").touch()
    os.symlink("loop", tmp_path / "loop")
    with pytest.raises(WorkDirError, match="cannot be written"):
        work_dir.ensure_writable(tmp_path / folder)


def test_writable_folder_is_created_and_stays_empty(tmp_path):
    folder = work_dir.ensure_writable(tmp_path / "a/b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_only_a_restart_waits_for_the_former_process(tmp_path, monkeypatch):
    monkeypatch.setattr(work_dir, "_PATIENCE", 20)
    lock = WorkDirLock(tmp_path)
    lock.__enter__()
    with pytest.raises(WorkDirError, match="in use"), work_dir.claim(config(tmp_path)):
        pass
    threading.Timer(0.2, lock.__exit__, (None, None, None)).start()
    with work_dir.claim(config(tmp_path), is_restarted=True) as outdated:
        assert outdated == []

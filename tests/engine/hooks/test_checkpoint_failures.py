import os
import resource
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from checkpoint_runs import hook_of, logged_runner, names, pointed_at
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import Hook
from tiny_run import ToyImages, toy_runner
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.engine.resume.atomic_local_backend import AtomicLocalBackend
from mim_plugins.engine.resume.checkpoint_writer import wait_for_write
from mim_plugins.errors import WorkDirError


def test_full_disk_is_logged_and_the_next_save_works(tmp_path):
    class Limit(Hook):
        """Hook that limits files to 1 KB in iterations 2 and 3, like a full disk."""

        def before_train_iter(self, runner, *args, **kwargs):
            wait_for_write(runner)
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            limit = 1000 if runner.iter in (1, 2) else hard
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

    runner = toy_runner(tmp_path, iterations=4, checkpoint=dict(max_keep_ckpts=1))
    runner.register_hook(Limit())
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    left = []
    runner.logger.error = lambda text: left.append((text, names(tmp_path)))
    try:
        runner.train()
    finally:
        signal.signal(signal.SIGXFSZ, previous)
    assert [files for _, files in left] == [["iter_1.pth"]] * 2
    assert "could NOT be saved" in left[0][0]
    assert "the next interval tries again" in left[0][0]
    assert f"the newest complete checkpoint is '{tmp_path / 'iter_1.pth'}'" in left[1][0]
    assert names(tmp_path) == ["iter_4.pth"]


def full_from(monkeypatch, iteration, room_at_the_end=False):
    """Let saves of later iterations fail; with room at the end, all but the last attempt."""
    attempts = []

    def put(self, data, path, original=AtomicLocalBackend.put):
        number = int(path.rpartition("_")[2].removesuffix(".pth"))
        attempts.append(number)
        if number >= iteration and not (room_at_the_end and attempts.count(number) > 1):
            raise OSError(28, "No space left on device")
        original(self, data, path)

    monkeypatch.setattr(AtomicLocalBackend, "put", put)


@pytest.mark.parametrize("settings", [dict(), dict(interval=2), dict(interval=3, save_last=False)])
def test_run_without_final_weights_ends_with_an_error(tmp_path, monkeypatch, caplog, settings):
    full_from(monkeypatch, 2)
    runner = logged_runner(caplog, tmp_path, checkpoint=settings)
    is_first_complete = not settings
    newest = "iter_1.pth'" if is_first_complete else "there is no complete checkpoint of this run"
    with pytest.raises(WorkDirError, match=f"without its final weights.*{newest}"):
        runner.train()
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert "None" not in "".join(errors)
    last = errors[-1]
    assert "iter_4.pth could NOT" in last
    assert "next interval" not in last
    assert "last save" in last
    if not settings.get("save_last", True):
        assert "training continues, and the end of the run tries again" in errors[0]


@pytest.mark.parametrize("by_epoch", [False, True])
def test_failed_last_save_is_repeated(tmp_path, monkeypatch, by_epoch):
    loop = dict(type="mim_plugins.ResumableEpochLoop", max_epochs=2)
    images = dict(batch_size=4, dataset=ToyImages(), sampler=dict(type="DefaultSampler"))
    settings = dict(train_cfg=loop, train_dataloader=images) if by_epoch else dict(iterations=2)
    for folder in ("whole", "full"):
        if folder == "full":
            full_from(monkeypatch, 2, room_at_the_end=True)
        toy_runner(tmp_path / folder, checkpoint=dict(by_epoch=by_epoch), **settings).train()
    name = "epoch_2.pth" if by_epoch else "iter_2.pth"
    whole, full = (
        torch.load(tmp_path / folder / name, weights_only=False) for folder in ("whole", "full")
    )
    for key in ("epoch", "iter"):
        assert full["meta"][key] == whole["meta"][key]
    assert full["state_dict"]["weight"].tolist() == whole["state_dict"]["weight"].tolist()
    assert pointed_at(tmp_path / "full").endswith(name)


class StorageError(Exception):
    """Error as those of a storage service, which are no OSError."""


class Storage(LocalBackend):
    """Storage service that refuses some requests."""

    def put(self, obj, filepath):
        if "iter_2" in str(filepath):
            raise StorageError("403")
        super().put(obj, filepath)

    def remove(self, filepath):
        raise StorageError("404")


def test_errors_of_a_storage_service_are_logged(tmp_path, caplog):
    register_backend("storage", Storage, force=True)
    settings = dict(backend_args=dict(backend="storage"), max_keep_ckpts=1)
    runner = logged_runner(caplog, tmp_path, checkpoint=settings)
    runner.train()
    assert "iter_2.pth could NOT be saved: 403" in caplog.text
    assert (tmp_path / "iter_4.pth").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("write failed")])
def test_failed_published_copy_does_not_end_the_run(tmp_path, monkeypatch, caplog, error):
    def save(content, path):
        Path(path).write_bytes(b"part")
        raise error

    runner = logged_runner(caplog, tmp_path, checkpoint=dict(published_keys=["state_dict"]))
    monkeypatch.setattr("mmengine.runner.save_checkpoint", save)
    runner.train()
    assert "the published copy of" in caplog.text
    assert not list(tmp_path.glob("iter_4-*.pth"))
    assert (tmp_path / "iter_4.pth").exists()


def full(*_):
    raise OSError(28, "No space left on device")


def save_best_with_a_full_disk(rank, folder, moment):
    runner = toy_runner(
        folder,
        checkpoint=dict(save_best="acc", rule="greater"),
        **DISTRIBUTED,
    )
    runner.optim_wrapper["optimizer"] = dict(
        type="mim_plugins.ShardedOptimizer", optimizer_type="SGD", lr=0.1
    )
    hook = hook_of(runner)
    fsync = os.fsync
    if moment == "training":
        os.fsync = full
    with pytest.raises(WorkDirError) if moment == "training" else nullcontext():
        runner.train()
    last = hook.last_ckpt
    os.fsync = full
    hook.after_val_epoch(runner, dict(acc=0.5))
    known = runner.message_hub.runtime_info.get("best_score")
    os.fsync = fsync
    hook.after_val_epoch(runner, dict(acc=0.4))
    return last, known, runner.message_hub.get_info("best_score"), hook.last_ckpt


@pytest.mark.parametrize("moment", ["training", "validation"])
def test_processes_agree_that_saving_failed(tmp_path, moment):
    codes, results = in_two_processes(save_best_with_a_full_disk, tmp_path, moment, timeout=30)
    assert codes == [0, 0]
    last = None if moment == "training" else str(tmp_path / "iter_4.pth")
    assert results == dict.fromkeys(range(2), (last, None, 0.4, last))
    assert list(tmp_path.glob("best_*.pth"))

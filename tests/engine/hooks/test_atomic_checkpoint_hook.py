import math
import os
import pickle
import resource
import shutil
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from stacks import ON_FORKS
from tiny_run import ToyImages, ToyModel, toy_runner
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.checkpoints import find_corruption, has_digest
from mim_plugins.cli import ConsoleRunner
from mim_plugins.engine.hooks import AtomicCheckpointHook, TimedCheckpointHook
from mim_plugins.engine.optim.sharded_state_transfer import ShardedStateTransfer
from mim_plugins.engine.resume.atomic_local_backend import AtomicLocalBackend
from mim_plugins.engine.resume.checkpoint_writer import wait_for_write
from mim_plugins.errors import CheckpointError, ConfigError, WorkDirError


class Killed(BaseException):
    pass


def names(folder):
    return sorted(path.name for path in folder.glob("*.pth*"))


def hook_of(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, AtomicCheckpointHook))


def logged_runner(caplog, *arguments, **settings):
    runner = toy_runner(*arguments, **settings)
    runner.logger.addHandler(caplog.handler)
    return runner


def full(*_):
    raise OSError(28, "No space left on device")


def pointed_at(folder):
    return (folder / "last_checkpoint").read_text()


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
    reached = torch.load(runner._load_from)["meta"]["iter"]
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


class Malicious:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.mark.parametrize("automatic", [True, False])
def test_code_in_the_metadata_never_runs(tmp_path, caplog, automatic):
    toy_runner(tmp_path / "run", iterations=1).train()
    file = tmp_path / "run/iter_1.pth"
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["meta"]["config"] = f"open({str(tmp_path / 'executed')!r}, 'w')"
    torch.save(checkpoint, file)
    given = None if automatic else str(file)
    runner = logged_runner(caplog, tmp_path / "run", iterations=2, resume=True, load_from=given)
    runner.train()
    assert runner.iter == 2
    assert "meta['config'] of the checkpoint is ignored" in caplog.text
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("how", ["resume", "auto", "load_from", "init_cfg"])
@pytest.mark.parametrize("runner", [Runner, ConsoleRunner])
def test_malicious_pickle_is_rejected(tmp_path, how, runner):
    if runner is Runner and ON_FORKS:
        pytest.skip("onedl-mmengine's Runner runs it: docs/compatibility.md")
    (tmp_path / "run").mkdir()
    file = tmp_path / "run/iter_1.pth"
    toy_runner(tmp_path / "good", iterations=1).train()
    checkpoint = torch.load(tmp_path / "good/iter_1.pth", weights_only=False)
    torch.save(checkpoint | dict(extra=Malicious(tmp_path / "executed")), file)
    model = ToyModel()
    if how == "init_cfg":
        model.init_cfg = dict(type="Pretrained", checkpoint=str(file))
    runner = toy_runner(
        tmp_path / "run",
        model=model,
        resume=how in ("resume", "auto"),
        load_from=str(file) if how in ("resume", "load_from") else None,
        runner=runner,
    )
    refusal = "open|Weights only load failed"
    with pytest.raises((pickle.UnpicklingError, CheckpointError), match=refusal):
        runner.train()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("named", ["precious.txt", "best_acc.pth"])
def test_checkpoint_cannot_cause_removal_of_other_files(tmp_path, named):
    best = dict(save_best="acc", rule="greater")
    runner = toy_runner(tmp_path / "run", iterations=1, checkpoint=best)
    runner.message_hub.update_info_dict(dict(best_ckpt=str(tmp_path / named), best_score=0.1))
    runner.train()
    (tmp_path / named).write_text("of somebody else")
    (tmp_path / "run/best_acc.pth").write_text("the best so far")

    runner = toy_runner(tmp_path / "run", iterations=2, checkpoint=best, resume=True)
    runner.train()
    hook = hook_of(runner)
    hook.after_val_epoch(runner, dict(acc=0.5))
    hook.finish_saving()

    assert (tmp_path / named).read_text() == "of somebody else"
    assert (tmp_path / "run/best_acc.pth").exists() == (named == "precious.txt")


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


@pytest.mark.parametrize(
    "storage",
    [
        dict(backend_args=dict(backend="local")),
        dict(backend_args={}),
        dict(file_client_args=dict(backend="disk")),
        dict(backend_args=dict(backend="mim_plugins.AtomicLocalBackend")),
    ],
)
def test_local_files_are_atomic_and_have_a_digest(tmp_path, storage):
    runner = toy_runner(
        tmp_path, checkpoint=dict(save_best="acc", rule="greater", max_keep_ckpts=1) | storage
    )
    runner.train()
    hook_of(runner).after_val_epoch(runner, dict(acc=0.5))
    hook_of(runner).finish_saving()
    assert names(tmp_path) == ["best_acc_iter_4.pth", "iter_4.pth"]
    for name in names(tmp_path):
        with (tmp_path / name).open("rb") as file:
            assert has_digest(file)


@pytest.mark.parametrize(
    "settings",
    [
        dict(backend_args=dict(backend="local"), out_dir="s3://bucket"),
        dict(file_client_args=dict(backend="petrel")),
        dict(file_client_args=dict(prefix="s3")),
    ],
)
def test_backends_of_other_storage_are_kept(settings):
    hook = AtomicCheckpointHook(interval=1, **settings)
    assert hook.backend_args == settings.get("backend_args")
    assert hook.file_client_args == settings.get("file_client_args")


@pytest.mark.parametrize("kind", [AtomicCheckpointHook, CheckpointHook])
@pytest.mark.parametrize("place", ["", "out", "work", "s3"])
def test_two_hooks_with_the_same_files_are_refused(tmp_path, kind, place):
    folders = dict(out=str(tmp_path / "out"), work=str(tmp_path / "run"), s3="s3://bucket")
    out_dir = folders.get(place)
    second = kind(interval=1, by_epoch=False, out_dir=out_dir, filename_tmpl="iter_{:d}.pth")
    own = dict(out_dir=out_dir if place in ("out", "s3") else None)
    folder = (
        "s3://bucket/run" if place == "s3" else tmp_path / ("out/run" if place == "out" else "run")
    )
    with pytest.raises(ConfigError, match=f"two checkpoint hooks save .* in '{folder}' and would"):
        toy_runner(tmp_path / "run", checkpoint=own, hooks=[second]).train()
    assert not list(tmp_path.rglob("*.pth"))


def test_hooks_with_other_names_or_folders_are_accepted(tmp_path):
    out = str(tmp_path / "out")
    hooks = [
        CheckpointHook(interval=1, by_epoch=False, out_dir=out),
        AtomicCheckpointHook(interval=1, by_epoch=False, out_dir=f"{out}/run"),
        AtomicCheckpointHook(interval=1, by_epoch=False, filename_tmpl="other_{}.pth"),
    ]
    toy_runner(tmp_path / "run", iterations=1, hooks=hooks).train()
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.pth"))
    assert found == [
        "out/run/iter_1.pth",
        "out/run/run/iter_1.pth",
        "run/iter_1.pth",
        "run/other_1.pth",
    ]


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
    runner = toy_runner(tmp_path, checkpoint=settings)
    runner.logger.addHandler(caplog.handler)
    runner.train()
    assert "iter_2.pth could NOT be saved: 403" in caplog.text
    assert (tmp_path / "iter_4.pth").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("write failed")])
def test_failed_published_copy_does_not_end_the_run(tmp_path, monkeypatch, caplog, error):
    def save(content, path):
        Path(path).write_bytes(b"part")
        raise error

    runner = toy_runner(tmp_path, checkpoint=dict(published_keys=["state_dict"]))
    runner.logger.addHandler(caplog.handler)
    monkeypatch.setattr("mmengine.runner.save_checkpoint", save)
    runner.train()
    assert "the published copy of" in caplog.text
    assert not list(tmp_path.glob("iter_4-*.pth"))
    assert (tmp_path / "iter_4.pth").exists()


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

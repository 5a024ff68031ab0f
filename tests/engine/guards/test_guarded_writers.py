"""Complete runs on disks that fill up, become read-only or get lost during the run."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from disks import lose, small_disk
from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import Runner
from tiny_run import toy_runner

from mim_plugins.cli import ConsoleRunner
from mim_plugins.engine.guards import guard_writers
from mim_plugins.engine.guards.guarded_file_handler import GuardedFileHandler
from mim_plugins.engine.guards.guarded_vis_backend import GuardedVisBackend
from mim_plugins.engine.hooks import CorruptImageHook
from mim_plugins.engine.resume.checkpoint_writer import wait_for_write
from mim_plugins.errors import WorkDirError

ITERATIONS = 12
BROKEN, MENDED = 4, 8


class At(Hook):
    """Hook that calls functions after iterations."""

    priority = "VERY_HIGH"

    def __init__(self, actions):
        self.actions = actions

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 in self.actions:
            wait_for_write(runner)
            self.actions[runner.iter + 1]()


class Draw(Hook):
    """Hook that logs pictures and scalars to the visualizer."""

    def after_train_iter(self, runner, *args, **kwargs):
        image = np.random.default_rng(runner.iter).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        runner.visualizer.add_image("picture", image, runner.iter + 1)
        runner.visualizer.add_scalars(dict(knn_top1=1.0), step=runner.iter + 1)


class SomeVisualizationHook(Hook):
    """Hook like mmdet's, which writes files without the visualizer."""

    def __init__(self, folder):
        self.folder = folder

    def after_train_iter(self, runner, *args, **kwargs):
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"{runner.iter + 1}.txt").write_text("x" * 100)


def build(folder, actions, kind=ConsoleRunner):
    runner = toy_runner(
        folder,
        iterations=ITERATIONS,
        runner=kind,
        hooks=[At(actions), Draw(), SomeVisualizationHook(folder / "drawn"), CorruptImageHook()],
        checkpoint=dict(max_keep_ckpts=1),
    )
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            hook.interval = 1
    return runner


def train(folder, actions, kind=ConsoleRunner):
    runner = build(folder, actions, kind)
    runner.train()
    return runner


def steps(runner):
    lines = Path(runner.log_dir, "vis_data/scalars.json").read_text().splitlines()
    return [record["step"] for record in map(json.loads, lines) if "loss" in record]


@pytest.mark.parametrize("kind", [ConsoleRunner, Runner])
@pytest.mark.parametrize("fault", ["full", "read-only", "removed"])
def test_run_completes_and_writing_recovers(tmp_path, capsys, fault, kind):
    usual = train(tmp_path / "usual", {})
    capsys.readouterr()
    with small_disk(tmp_path / "disk") as disk:
        folder = disk.folder / "run"
        actions = {
            "full": {BROKEN: disk.fill, MENDED: disk.make_room},
            "read-only": {BROKEN: disk.freeze, MENDED: disk.thaw},
            "removed": {BROKEN: lambda: lose(folder)},
        }[fault]
        runner = train(folder, actions, kind)
        assert (folder / f"iter_{ITERATIONS}.pth").is_file()
        assert (folder / "last_checkpoint").read_text().endswith(f"iter_{ITERATIONS}.pth")
        logged = steps(runner)
        last_picture = folder / f"{runner.timestamp}/vis_data/vis_image/picture_{ITERATIONS}.png"
        assert last_picture.is_file()
        assert (folder / f"drawn/{ITERATIONS}.txt").is_file()
    assert runner.iter == ITERATIONS
    assert torch.equal(runner.model.weight, usual.model.weight)
    # a small file may still fit on the full disk
    assert set(range(MENDED + 1, ITERATIONS + 1)) <= set(logged)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert "Logging error" not in err
    if fault != "removed":
        assert out.count("a picture of LocalVisBackend could not be written") == 1
        assert out.count("could NOT be saved") == MENDED - BROKEN
        assert out.count("the output of SomeVisualizationHook could not be written") <= 1


@pytest.mark.parametrize("lost_for_good", [True, False])
def test_permanently_lost_folder_costs_only_the_outputs(tmp_path, capsys, lost_for_good):
    parent = tmp_path / "runs"
    folder = parent / "run"

    def replace():
        lose(parent)
        parent.write_text("a file is where the folder was")

    actions = {BROKEN: replace} if lost_for_good else {BROKEN: replace, MENDED: parent.unlink}
    runner = build(folder, actions)
    with (
        pytest.raises(WorkDirError, match="the run ended without its final weights")
        if lost_for_good
        else nullcontext()
    ):
        runner.train()
    assert runner.iter == ITERATIONS
    assert (folder / f"iter_{ITERATIONS}.pth").is_file() is not lost_for_good
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert "cannot be read" in out  # the free space cannot be read
    for writer in (
        "a scalar of LocalVisBackend",
        "a picture of LocalVisBackend",
        "the output of SomeVisualizationHook",
        f"log file '{runner.logger.log_file}'",
    ):
        assert out.count(f"{writer} could not be written") == 1


class Uploading(LoggerHook):
    """Hook that fails like an upload to a server."""

    def after_run(self, runner):
        raise ConnectionError("no server")


def test_failed_log_upload_does_not_fail_a_complete_run(tmp_path, capsys):
    runner = toy_runner(tmp_path, runner=ConsoleRunner)
    runner.register_hook(Uploading())
    guard_writers(runner)
    runner.train()
    assert "the output of Uploading could not be written: no server" in capsys.readouterr().out


def test_errors_of_other_hooks_propagate(tmp_path):
    def fail():
        raise OSError("the data are gone")

    with pytest.raises(OSError, match="the data are gone"):
        train(tmp_path, {2: fail})


def test_guarding_twice_changes_nothing(tmp_path):
    runner = toy_runner(tmp_path, runner=ConsoleRunner)
    guard_writers(runner)
    before = list(runner.logger.handlers), dict(runner.visualizer._vis_backends)
    hooks = [dict(vars(hook)) for hook in runner.hooks]
    guard_writers(runner)
    assert (runner.logger.handlers, runner.visualizer._vis_backends) == before
    assert [dict(vars(hook)) for hook in runner.hooks] == hooks
    assert isinstance(runner.logger.handlers[1], GuardedFileHandler)
    (backend,) = runner.visualizer._vis_backends.values()
    assert isinstance(backend, GuardedVisBackend)

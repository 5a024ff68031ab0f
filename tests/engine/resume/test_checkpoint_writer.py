import os
import signal
import threading
from collections import namedtuple

import pytest
import torch
from mmengine.hooks import Hook
from tiny_run import ToyModel, toy_runner
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.engine.hooks import AtomicCheckpointHook, PreemptionHook
from mim_plugins.engine.hooks.preemption_hook import checkpoint_hook
from mim_plugins.engine.resume.atomic_local_backend import AtomicLocalBackend
from mim_plugins.engine.resume.checkpoint_copier import CheckpointCopier
from mim_plugins.engine.resume.checkpoint_files import find_file_corruption
from mim_plugins.engine.resume.checkpoint_writer import wait_for_write


class SlowDisk:
    """Disk whose writes wait until it is released."""

    def __init__(self, monkeypatch):
        self.started, self.released = threading.Event(), threading.Event()
        original = AtomicLocalBackend.put

        def put(backend, content, path):
            self.started.set()
            assert self.released.wait(20)
            original(backend, content, path)

        monkeypatch.setattr(AtomicLocalBackend, "put", put)


class At(Hook):
    """Hook that calls a function after an iteration."""

    priority = "LOWEST"

    def __init__(self, iteration, act):
        self.iteration, self.act = iteration, act

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.iteration:
            self.act(runner)


def content(file):
    found = torch.load(file, weights_only=False)
    del found["meta"]["time"], found["meta"]["experiment_name"]
    found["message_hub"] = found["message_hub"]["runtime_info"]
    del found["message_hub"]["last_ckpt"]
    return found


def sgd_with_momentum(runner):
    runner.optim_wrapper["optimizer"]["momentum"] = 0.9
    return runner


@pytest.mark.parametrize("background", [True, False])
def test_file_contains_the_state_at_its_iteration(tmp_path, monkeypatch, background):
    """Four further iterations change weights and moments before the slow disk writes them."""
    expected = sgd_with_momentum(toy_runner(tmp_path / "short", iterations=2))
    expected.train()
    disk = SlowDisk(monkeypatch)
    if not background:
        disk.released.set()
    runner = toy_runner(
        tmp_path / "run",
        iterations=6,
        checkpoint=dict(interval=2, background=background, save_last=False),
        hooks=[At(2, lambda _: disk.started.wait(20)), At(3, lambda _: disk.released.set())],
    )
    sgd_with_momentum(runner).train()
    saved, whole = content(tmp_path / "run/iter_2.pth"), content(tmp_path / "short/iter_2.pth")
    assert saved["state_dict"]["weight"].tolist() == whole["state_dict"]["weight"].tolist()
    moments = [each["optimizer"]["state"][0]["momentum_buffer"] for each in (saved, whole)]
    assert torch.equal(*moments)
    assert saved["message_hub"]["iter"] == whole["message_hub"]["iter"]


def test_training_continues_and_the_next_save_waits(tmp_path, monkeypatch):
    disk = SlowDisk(monkeypatch)
    events = []

    def release(runner):
        events.append(("iteration", runner.iter + 1, (tmp_path / "iter_2.pth").exists()))
        threading.Timer(0.2, disk.released.set).start()

    runner = toy_runner(tmp_path, iterations=4, checkpoint=dict(interval=2), hooks=[At(3, release)])
    wait = At(4, lambda _: events.append(("next save", (tmp_path / "iter_2.pth").exists())))
    runner.register_hook(wait)
    runner.train()
    assert events == [("iteration", 3, False), ("next save", True)]
    assert (tmp_path / "last_checkpoint").read_text().endswith("iter_4.pth")


def test_pointer_and_old_files_follow_the_complete_file(tmp_path, monkeypatch):
    seen = []

    def look(runner):
        files = sorted(file.name for file in tmp_path.glob("*.pth"))
        seen.append((files, (tmp_path / "last_checkpoint").read_text().rpartition("/")[2]))

    runner = toy_runner(tmp_path, iterations=3, checkpoint=dict(max_keep_ckpts=1))
    slow = [None]

    def begin(_):
        wait_for_write(runner)
        slow[0] = SlowDisk(monkeypatch)

    def look_and_release(_):
        look(runner)
        slow[0].released.set()
        wait_for_write(runner)
        look(runner)

    for hook in (At(1, begin), At(2, look_and_release)):
        runner.register_hook(hook)
    runner.train()
    assert seen == [(["iter_1.pth"], "iter_1.pth"), (["iter_2.pth"], "iter_2.pth")]


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_run_that_ends_early_completes_its_file(tmp_path, monkeypatch, end):
    disk = SlowDisk(monkeypatch)

    def stop(_):
        threading.Timer(0.1, disk.released.set).start()
        raise end

    runner = toy_runner(tmp_path, iterations=4, hooks=[At(1, stop)])
    with pytest.raises(end):
        runner.train()
    assert find_file_corruption(tmp_path / "iter_1.pth") is None
    resumed = toy_runner(tmp_path, iterations=3, resume=True)
    resumed.train()
    whole = toy_runner(tmp_path / "whole", iterations=3)
    whole.train()
    assert resumed.model.weight.tolist() == whole.model.weight.tolist()


def test_termination_signal_waits_for_its_file(tmp_path, monkeypatch):
    disk = SlowDisk(monkeypatch)

    def terminate(_):
        threading.Timer(0.2, disk.released.set).start()
        os.kill(os.getpid(), signal.SIGTERM)

    hooks = [At(2, terminate), PreemptionHook()]
    runner = toy_runner(tmp_path, iterations=9, checkpoint=dict(interval=2), hooks=hooks)
    with pytest.raises(SystemExit):
        runner.train()
    assert sorted(file.name for file in tmp_path.glob("*.pth*")) == [
        "interrupted.pth",
        "iter_2.pth",
    ]


class AddLast(Hook):
    """Hook that adds values to checkpoints after all others."""

    priority = "LOWEST"

    def before_save_checkpoint(self, runner, checkpoint):
        point = namedtuple("Point", "x y")
        checkpoint["late"] = dict(point=point(1, {2}), function=lambda: 1, lock=threading.Lock())


@pytest.mark.parametrize("background", [True, False])
def test_what_the_last_hook_adds_can_be_resumed(tmp_path, background):
    checkpoint = dict(background=background, save_best="acc", rule="greater")
    runner = toy_runner(tmp_path, iterations=2, hooks=[AddLast()], checkpoint=checkpoint)
    runner.train()
    checkpoint_hook(runner, "").after_val_epoch(runner, dict(acc=0.5))
    checkpoint_hook(runner, "").finish_saving()
    for name in ("iter_2.pth", "best_acc_iter_2.pth"):
        assert torch.load(tmp_path / name, weights_only=False)["late"] == dict(point=(1, [2]))
    toy_runner(tmp_path, iterations=3, resume=True).train()


def no_memory(*_):
    raise RuntimeError("DefaultCPUAllocator: can't\nallocate memory")


@pytest.mark.parametrize("lacking", ["memory", "threads"])
def test_a_file_without_a_copy_is_written_at_once(tmp_path, monkeypatch, caplog, lacking):
    """The state of two iterations is copied, the one between them is not."""
    place = (CheckpointCopier, "copy") if lacking == "memory" else (threading.Thread, "start")
    hooks = [At(1, lambda _: monkeypatch.setattr(*place, no_memory))]
    hooks += [At(2, lambda _: monkeypatch.undo())]
    runner = toy_runner(tmp_path, iterations=3, hooks=hooks)
    runner.logger.addHandler(caplog.handler)
    runner.train()
    message = "iter_2.pth is written while training waits, because its copy failed: DefaultCPU"
    assert caplog.text.count(message) == (lacking == "memory")
    for iteration in (1, 2, 3):
        toy_runner(tmp_path / "whole", iterations=iteration).train()
        pair = [content(each / f"iter_{iteration}.pth") for each in (tmp_path, tmp_path / "whole")]
        assert torch.equal(*(each["state_dict"]["weight"] for each in pair))


def test_run_that_fails_waits_for_the_files_of_all_hooks(tmp_path, monkeypatch):
    disk = SlowDisk(monkeypatch)
    second = AtomicCheckpointHook(interval=1, by_epoch=False, filename_tmpl="other_{}.pth")

    def stop(_):
        threading.Timer(0.1, disk.released.set).start()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        toy_runner(tmp_path, hooks=[second, At(1, stop)]).train()
    assert {file.name for file in tmp_path.glob("*.pth*")} == {"iter_1.pth", "other_1.pth"}


class SeveralWeights(ToyModel):
    """Model with parameters of several sizes."""

    def __init__(self):
        super().__init__(self.sum_of_squares)
        self.parts = torch.nn.ParameterList(torch.zeros(size) for size in ((3, 2), (5,), (2, 2)))

    def sum_of_squares(self, weight, inputs):
        return sum((part.sum() - inputs.mean()).square() for part in (weight, *self.parts))


def zero_runs(rank, folder):
    found = []
    for background in (True, False):
        runner = toy_runner(
            folder / str(background),
            iterations=3,
            checkpoint=dict(background=background, max_keep_ckpts=1),
            model=SeveralWeights(),
            **DISTRIBUTED,
        )
        runner.optim_wrapper["optimizer"] = dict(
            type="mim_plugins.ShardedOptimizer", optimizer_type="AdamW", lr=0.1
        )
        runner.train()
        if rank == 0:
            found.append(content(folder / str(background) / "iter_3.pth"))
    if rank == 0:
        states = [each["optimizer"]["state"] for each in found]
        assert list(states[0]) == list(states[1]) == [0, 1, 2, 3]
        for index in states[0]:
            for name, value in states[0][index].items():
                assert torch.equal(value, states[1][index][name])
                assert value.any()
        return True
    return None


def test_sharded_state_is_gathered_beside_training(tmp_path):
    codes, results = in_two_processes(zero_runs, tmp_path, timeout=60)
    assert codes == [0, 0]
    assert results[0]

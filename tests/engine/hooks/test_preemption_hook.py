import multiprocessing
import os
import signal
import time

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from tiny_run import ToyImages, ToyModel, toy_runner
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.engine.hooks import REQUEUE_EXIT_CODE, PreemptionHook
from mim_plugins.engine.resume.atomic_local_backend import AtomicLocalBackend
from mim_plugins.errors import WorkDirError


class Signal(Hook):
    def __init__(self, iteration, number):
        self.iteration, self.number = iteration, number

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), self.number)


class Kill(Hook):
    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == self.iteration:
            raise KeyboardInterrupt


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_saves_and_exits_and_the_run_can_resume(tmp_path, number):
    whole = toy_runner(tmp_path / "whole", iterations=4)
    whole.train()

    checkpoint = dict(interval=3)
    handler = signal.getsignal(number)
    runner = toy_runner(tmp_path / "run", hooks=[PreemptionHook()], checkpoint=checkpoint)
    runner.register_hook(Signal(1, number))
    with pytest.raises(SystemExit) as stopped:
        runner.train()
    assert stopped.value.code == REQUEUE_EXIT_CODE == 85
    assert runner.iter == 1  # the second iteration was completed
    assert (tmp_path / "run/interrupted.pth").is_file()
    assert (tmp_path / "run/last_checkpoint").read_text().endswith("interrupted.pth")

    rest = toy_runner(tmp_path / "run", checkpoint=checkpoint, resume=True)
    seen = []
    rest.register_hook(type("See", (Hook,), dict(
        before_train_iter=lambda self, runner, *a, **k: seen.append(runner.iter)))())  # fmt: skip
    rest.train()
    assert seen == [2, 3]
    assert rest.model.weight.tolist() == whole.model.weight.tolist()
    assert not (tmp_path / "run/interrupted.pth").exists()
    signal.signal(number, handler)


def test_interrupted_file_stays_beside_files_of_weights(tmp_path):
    whole = toy_runner(tmp_path / "whole", iterations=6)
    whole.train()
    checkpoint = dict(interval=1, save_optimizer=False)

    def interrupted(iteration, **kwargs):
        runner = toy_runner(
            tmp_path / "run", iterations=6, hooks=[PreemptionHook()], checkpoint=checkpoint,
            **kwargs,
        )  # fmt: skip
        runner.register_hook(Signal(iteration, signal.SIGTERM))
        return runner

    with pytest.raises(SystemExit):
        interrupted(1).train()
    with pytest.raises(SystemExit):
        interrupted(3, resume=True).train()
    rest = toy_runner(tmp_path / "run", iterations=6, checkpoint=checkpoint, resume=True)
    rest.call_hook("before_run")
    assert rest._load_from.endswith("interrupted.pth")
    killed = toy_runner(tmp_path / "run", iterations=6, checkpoint=checkpoint, resume=True)
    killed.register_hook(Kill(5))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    assert (tmp_path / "run/interrupted.pth").is_file()
    rest.train()
    assert rest.model.weight.tolist() == whole.model.weight.tolist()
    assert not (tmp_path / "run/interrupted.pth").exists()


class Predicting(ToyModel):
    def forward(self, inputs, data_samples=None, mode="loss"):
        return data_samples if mode == "predict" else super().forward(inputs, data_samples, mode)


class Count(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return dict(count=len(results))


class SignalToAll(Hook):
    """Send the signal to the process group, like a launcher."""

    def __init__(self, number):
        self.number, self.workers = number, []
        self.others = multiprocessing.active_children()  # of earlier tests

    def before_train_iter(self, runner, *args, **kwargs):
        if runner.iter == 1:
            children = multiprocessing.active_children()
            self.workers = [child for child in children if child not in self.others]
            for process in (*self.workers, multiprocessing.current_process()):
                os.kill(process.pid, self.number)
            time.sleep(1)  # PyTorch would raise here if a worker had ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_training_and_validation_workers_outlive_signals(tmp_path, number):
    handler = signal.getsignal(number)
    loader = dict(
        batch_size=4, num_workers=1, persistent_workers=True, dataset=ToyImages(),
        sampler=dict(type="DefaultSampler", shuffle=False),
    )  # fmt: skip
    runner = toy_runner(
        tmp_path, Predicting(), hooks=[PreemptionHook(signals=("SIGTERM", "SIGUSR2"))],
        checkpoint=dict(interval=3), val_dataloader=loader, val_cfg=dict(), val_evaluator=[Count()],
    )  # fmt: skip
    runner._train_dataloader |= dict(num_workers=1, persistent_workers=True)
    runner._train_loop["val_interval"] = 1
    sender = SignalToAll(number)
    runner.register_hook(sender)
    try:
        with pytest.raises(SystemExit):
            runner.train()
    finally:
        signal.signal(number, handler)
    for each in (runner.train_dataloader, runner.val_dataloader):
        assert signal.SIGUSR2 in each.worker_init_fn.args[1]  # for workers that are spawned
    assert len(sender.workers) == 2
    assert all(worker.is_alive() for worker in sender.workers)
    assert (tmp_path / "interrupted.pth").is_file()
    for worker in sender.workers:
        worker.kill()


def test_gradients_are_not_lost_and_handlers_are_restored(tmp_path):
    handler = signal.getsignal(signal.SIGTERM)
    toy_runner(tmp_path, hooks=[PreemptionHook()]).train()
    assert signal.getsignal(signal.SIGTERM) == handler
    runner = toy_runner(tmp_path, hooks=[PreemptionHook()], checkpoint=dict(interval=100))
    runner.optim_wrapper["accumulative_counts"] = 2
    runner.register_hook(Signal(0, signal.SIGTERM))
    with pytest.raises(SystemExit):
        runner.train()
    assert runner.iter == 1


def test_invalid_arguments_are_rejected(tmp_path):
    with pytest.raises(ValueError, match="interval=0"):
        PreemptionHook(interval=0)
    with pytest.raises(ValueError, match="SIGNAL"):
        PreemptionHook(signals=("SIGNAL",))
    runner = toy_runner(tmp_path, hooks=[PreemptionHook()], checkpoint=dict(type="CheckpointHook"))
    with pytest.raises(ValueError, match="AtomicCheckpointHook"):
        runner.train()


@pytest.mark.parametrize(
    ("interval", "newest"), [(1, "is '.*iter_1.pth'"), (100, "there is no complete checkpoint")]
)
def test_run_that_cannot_be_saved_ends_with_an_error(tmp_path, monkeypatch, interval, newest):
    def put(self, data, path, original=AtomicLocalBackend.put):
        if path.endswith(("interrupted.pth", "iter_2.pth")):
            raise OSError(28, "No space left on device")
        original(self, data, path)

    monkeypatch.setattr(AtomicLocalBackend, "put", put)
    handler = signal.getsignal(signal.SIGTERM)
    checkpoint = dict(interval=interval)
    runner = toy_runner(tmp_path, hooks=[PreemptionHook()], checkpoint=checkpoint)
    runner.register_hook(Signal(1, signal.SIGTERM))
    try:
        with pytest.raises(WorkDirError, match=f"iteration 2 could NOT be saved: .*{newest}"):
            runner.train()
    finally:
        signal.signal(signal.SIGTERM, handler)


def train_and_signal_with_a_full_disk(rank, folder):
    def put(self, data, path):
        raise OSError(28, "No space left on device")

    AtomicLocalBackend.put = put
    try:
        train_and_signal_one(rank, folder)
    except WorkDirError as error:
        return str(error)


def test_processes_agree_on_a_failed_save(tmp_path):
    codes, errors = in_two_processes(train_and_signal_with_a_full_disk, tmp_path)
    assert codes == [0, 0]
    assert errors[0] == errors[1]
    assert "there is no complete checkpoint" in errors[0]


def train_and_signal_one(rank, folder):
    runner = toy_runner(
        folder, hooks=[PreemptionHook(interval=2)], checkpoint=dict(interval=100), **DISTRIBUTED
    )
    if rank == 1:
        runner.register_hook(Signal(0, signal.SIGUSR1))
    runner.train()


def test_signal_to_one_process_stops_both(tmp_path):
    codes, _ = in_two_processes(train_and_signal_one, tmp_path)
    assert codes == [85, 85]
    assert [path.name for path in tmp_path.glob("*.pth")] == ["interrupted.pth"]


@pytest.mark.parametrize("launcher", ["pytorch", "none"])
def test_a_run_whose_launcher_was_killed_saves_and_ends(tmp_path, monkeypatch, launcher):
    """Without a launcher, the parent is a shell, which may end; it may be one of torchrun's."""
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")

    class Kill(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 1:
                monkeypatch.setattr(os, "getppid", lambda: 1)

    runner = toy_runner(tmp_path, hooks=[PreemptionHook(), Kill()])
    runner._launcher = launcher  # in one process
    if launcher == "none":
        runner.train()
        assert runner.iter == 4
        return
    with pytest.raises(SystemExit) as stop:
        runner.train()
    assert stop.value.code == REQUEUE_EXIT_CODE
    assert torch.load(tmp_path / "interrupted.pth", weights_only=False)["meta"]["iter"] == 2

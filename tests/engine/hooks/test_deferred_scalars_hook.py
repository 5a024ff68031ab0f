import pytest
import torch
from gpu_model import simulated_gpu
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from tiny_run import toy_runner

from mim_plugins.engine.hooks import DeferredScalarsHook


class Losses:
    """Runner with a message hub and a hook that logs every 3 iterations."""

    def __init__(self, tmp_path, length=7):
        self.runner = toy_runner(tmp_path, iterations=length)
        self.runner.register_hook(LoggerHook(interval=3))
        self.runner.train_loop.dataloader = range(100)
        self.hook = DeferredScalarsHook()
        self.runner.message_hub.log_scalars.clear()

    def step(self, index, device="meta"):
        self.runner.train_loop._iter = index
        outputs = dict(loss=torch.full((), float(index), device=device), share=0.5)
        self.hook.after_train_iter(self.runner, index, outputs=outputs)
        return self.count()

    def count(self):
        scalars = self.runner.message_hub.log_scalars
        return len(scalars["train/loss"].data[0]) if "train/loss" in scalars else 0


@pytest.fixture
def losses(tmp_path):
    return Losses(tmp_path)


def test_losses_of_a_gpu_are_read_when_they_are_logged(losses):
    with simulated_gpu() as gpu:
        assert [losses.step(index) for index in range(6)] == [0, 0, 3, 3, 3, 6]
    assert len(gpu.trace.waits) == 2
    assert len(losses.runner.message_hub.get_scalar("train/share").data[0]) == 6


def test_the_last_iteration_reads_all(losses):
    assert [losses.step(index, "cpu") for index in range(2)] == [1, 2]
    with simulated_gpu():
        assert losses.step(3) == 2
        assert losses.step(6) == 4


def test_a_checkpoint_contains_all_losses(losses):
    with simulated_gpu():
        losses.step(0)
        checkpoint = dict(message_hub=losses.runner.message_hub.state_dict())
        losses.hook.before_save_checkpoint(losses.runner, checkpoint)
    assert losses.count() == 1
    assert "train/loss" in checkpoint["message_hub"]["log_scalars"]


def test_the_history_equals_that_of_mmengine(losses, tmp_path):
    for index in range(4):
        losses.step(index, "cpu")
    found = losses.runner.message_hub.get_scalar("train/loss").data
    losses.runner.message_hub.log_scalars.clear()
    losses.hook = RuntimeInfoHook()
    for index in range(4):
        losses.step(index, "cpu")
    expected = losses.runner.message_hub.get_scalar("train/loss").data
    assert [list(x) for x in found] == [list(x) for x in expected]


def test_kept_losses_hold_no_graph(losses):
    weight = torch.ones((), device="meta", requires_grad=True)
    with simulated_gpu():
        losses.hook.after_train_iter(losses.runner, 0, outputs=dict(loss=weight * 2))
    (kept,) = losses.hook._pending
    assert kept["loss"].grad_fn is None

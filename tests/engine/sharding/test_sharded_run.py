from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from sharded_runs import WithBlocks, toy
from tiny_run import ToyModel
from torch.distributed.tensor import DTensor

from mim_plugins.engine.hooks import KNNHook, ReconstructionHook
from mim_plugins.engine.sharding import FullyShardedModel
from mim_plugins.engine.sharding.sharded_run import gathered_state, prepare_sharded_run
from mim_plugins.errors import ConfigError


class WithTiedBlocks(WithBlocks):
    """Model whose two blocks have the same weight."""

    def __init__(self):
        super().__init__()
        self.blocks[1].weight = self.blocks[0].weight


@pytest.mark.usefixtures("_one_process")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(wrapper=dict(param_dtype="float16")), "param_dtype='float16' must be"),
        (dict(wrapper=dict(reshard_after_forward=1)), "reshard_after_forward=1 must be"),
        (dict(wrapper=dict(param_dtype="bfloat16")), "needs optim_wrapper.type='AmpOptimWrapper'"),
        (
            dict(hooks=[dict(type="EMAHook")]),
            "does not support hooks that copy the model: remove EMA",
        ),
        (
            dict(optimizer=dict(type="mim_plugins.ShardedOptimizer", optimizer_type="SGD")),
            "shards the optimizer state itself: set",
        ),
        (dict(checkpoint=dict(type="CheckpointHook")), "needs default_hooks.checkpoint.type="),
        (dict(model=WithTiedBlocks), "share with other parts: blocks.0.weight and blocks.1.weight"),
    ],
)
def test_what_is_not_supported_is_an_error(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        toy(tmp_path, **settings).train()


def run_of(model):
    """Return a run that clips gradients and does not train."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = OptimWrapper(optimizer, clip_grad=dict(max_norm=1.0))
    return SimpleNamespace(model=model, optim_wrapper=wrapper, hooks=[])


@pytest.fixture
def runner(_one_process):
    return run_of(FullyShardedModel(ToyModel()))


@pytest.mark.parametrize("hook", [KNNHook, ReconstructionHook])
def test_hooks_that_call_parts_of_the_model_are_refused(runner, hook):
    runner.hooks = [hook.__new__(hook)]
    with pytest.raises(ConfigError, match=f"does not support {hook.__name__}: remove the hook"):
        prepare_sharded_run(runner)


def test_several_optimizers_and_loss_scaling_are_refused(runner):
    runner.optim_wrapper.loss_scaler = SimpleNamespace(is_enabled=lambda: True)
    with pytest.raises(ConfigError, match=r"does not support loss scaling \(float16\)"):
        prepare_sharded_run(runner)
    runner.optim_wrapper = OptimWrapperDict(one=runner.optim_wrapper)
    with pytest.raises(ConfigError, match="supports one optimizer, not several"):
        prepare_sharded_run(runner)


def test_the_logged_norm_and_the_saved_weights_are_complete(runner):
    prepare_sharded_run(runner)
    (weight,) = runner.model.parameters()
    weight.grad = torch.full_like(weight, 3.0)
    norm = runner.optim_wrapper.clip_func([weight], max_norm=1.0)
    assert type(norm) is torch.Tensor
    assert norm.item() == pytest.approx(3 * 2**0.5)
    assert isinstance(weight, DTensor)
    with gathered_state(runner):
        (saved,) = runner.model.state_dict().values()
    assert type(saved) is torch.Tensor


def test_runs_that_are_not_sharded_are_not_changed():
    runner = run_of(ToyModel())
    clip = runner.optim_wrapper.clip_func
    prepare_sharded_run(runner)
    assert runner.optim_wrapper.clip_func is clip
    with gathered_state(runner) as entered:
        assert entered is None

"""Set-up of a run whose model is sharded by FSDP2."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch.distributed.optim import ZeroRedundancyOptimizer

from ...errors import ConfigError
from .fully_sharded_model import FullyShardedModel

_UNSUPPORTED_HOOKS = ("KNNHook", "ReconstructionHook")  # they call parts of the model


def prepare_sharded_run(runner: Runner) -> None:
    """Prepare optimizer and gradient clipping of a run with :class:`FullyShardedModel`.

    Runs without it are not changed.

    Raises:
        ConfigError: the config contains what FSDP2 does not support.
    """
    model, wrapper = runner.model, runner.optim_wrapper
    if not isinstance(model, FullyShardedModel) or not isinstance(wrapper, OptimWrapper):
        return
    problem = _problem(runner, model, wrapper)
    if problem:
        raise ConfigError(f"model_wrapper_cfg: FullyShardedModel {problem}")
    model.attach(wrapper.optimizer)
    if getattr(wrapper, "clip_grad_kwargs", None):
        wrapper.clip_func = _with_complete_norm(wrapper.clip_func)


def gathered_state(runner: Runner, with_optimizer: bool = True) -> AbstractContextManager[None]:
    """Gather a sharded model for a checkpoint in the block; all processes must enter it."""
    model = runner.model
    is_sharded = isinstance(model, FullyShardedModel)
    return model.gathered(with_optimizer) if is_sharded else nullcontext()


def _problem(runner: Runner, model: FullyShardedModel, wrapper: Any) -> str:
    """Describe what FSDP2 does not support; empty if nothing."""
    if isinstance(wrapper, OptimWrapperDict):
        return "supports one optimizer, not several: use MMDistributedDataParallel"
    if isinstance(wrapper.optimizer, ZeroRedundancyOptimizer):
        return (
            "shards the optimizer state itself: set optim_wrapper.optimizer.type='AdamW' instead of"
            " 'mim_plugins.ShardedOptimizer'"
        )
    scaler = getattr(wrapper, "loss_scaler", None)
    if scaler is not None and getattr(scaler, "is_enabled", lambda: False)():
        return "does not support loss scaling (float16): train in bfloat16 or float32"
    if model.param_dtype is not None and type(wrapper) is OptimWrapper:
        return "with param_dtype='bfloat16' needs optim_wrapper.type='AmpOptimWrapper': remove it"
    if model.param_dtype is not None and any(
        getattr(part, "with_cp", False) for part in model.module.modules()
    ):  # PyTorch does not convert the inputs of the second forward pass
        return (
            "with param_dtype='bfloat16' does not support gradient checkpointing: set"
            " model.backbone.with_cp=False, or remove param_dtype"
        )
    for hook in runner.hooks:
        name = type(hook).__name__
        if name in _UNSUPPORTED_HOOKS:
            return f"does not support {name}: remove the hook"
    return ""


def _with_complete_norm(clip: Any) -> Any:
    """Return a clipping function that returns the norm over all shards, which is logged."""

    def clip_shards(*args: Any, **kwargs: Any) -> torch.Tensor | None:
        norm = clip(*args, **kwargs)
        return norm.full_tensor() if hasattr(norm, "full_tensor") else norm

    return clip_shards

"""Model whose weights, gradients and optimizer state are sharded across the processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import torch
from mmengine.dist import broadcast, get_world_size
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from ...errors import ConfigError
from ...registry import MODEL_WRAPPERS
from .sharded_tensors import (
    distribute_optimizer,
    distribute_weights,
    gather_optimizer,
    gather_tensors,
)

_BLOCKS = ("blocks", "layers", "resblocks")  # names of lists in this package, mmpretrain, timm
_PRECISIONS = {None: None, "float32": None, "bfloat16": torch.bfloat16}


@MODEL_WRAPPERS.register_module()
class FullyShardedModel(nn.Module):
    """Model sharded by PyTorch's FSDP2 (``fully_shard``), like ZeRO stage 3 (arXiv 1910.02054).

    Each block of an encoder or decoder is a unit whose weights are gathered before its forward and
    backward pass. All other parameters form one unit. Teachers are complete in every process.

    The model gets its initial weights before it is sharded, so they are those of an unsharded run.
    Checkpoints contain complete tensors, as without sharding, so any number of processes can resume
    from them, with or without this wrapper. The run needs :class:`AtomicCheckpointHook`.

    Args:
        module: the model.
        param_dtype: type in which the weights of blocks are gathered and their inputs computed:
            ``'bfloat16'`` (needs AmpOptimWrapper) or ``'float32'``, the default, with which
            autocast computes as in an unsharded run. Gradients are summed and weights updated in
            float32.
        reshard_after_forward: release the gathered weights of a block after its forward pass and
            gather them again for the backward pass.

    Raises:
        ConfigError: an argument has another value, or parts that are sharded separately share
            weights.
    """

    def __init__(
        self, module: Any, param_dtype: str | None = None, reshard_after_forward: bool = True
    ) -> None:
        super().__init__()
        if param_dtype not in _PRECISIONS:
            raise ConfigError(
                f"model_wrapper_cfg.param_dtype={param_dtype!r} must be 'bfloat16' or 'float32'"
            )
        if not isinstance(reshard_after_forward, bool):
            raise ConfigError(
                f"model_wrapper_cfg.reshard_after_forward={reshard_after_forward!r} must be True"
                " or False"
            )
        _initialize(module)
        self.param_dtype = _PRECISIONS[param_dtype]
        device = next(module.parameters()).device.type
        mesh = init_device_mesh(device, (get_world_size(),))
        blocks = _blocks(module)
        if not blocks:
            print_log(
                f"{type(module).__name__} has no list of blocks, so FSDP2 gathers all weights at"
                " once",
                logger="current",
            )
        if self.param_dtype is None:
            policy = MixedPrecisionPolicy()
        else:
            policy = MixedPrecisionPolicy(self.param_dtype, reduce_dtype=torch.float32)
        names = _shared_names(module)
        for block in reversed(blocks):  # inner ones first
            fully_shard(
                block, mesh=mesh, mp_policy=policy, reshard_after_forward=reshard_after_forward
            )
        fully_shard(module, mesh=mesh)
        untied = [each for each in names if each not in _shared_names(module)]
        if untied:  # each part would train its own copy
            raise ConfigError(
                f"model_wrapper_cfg: FullyShardedModel does not support weights that blocks share"
                f" with other parts: {' and '.join(untied[0])}; use MMDistributedDataParallel"
            )
        module.__class__ = type(type(module).__name__, (_Sharded, type(module)), {})
        module.register_load_state_dict_pre_hook(distribute_weights)
        module.register_state_dict_post_hook(partial(self._insert_weights))
        self.module = module
        self._optimizer: Any = None
        self._weights: dict[str, Tensor] = {}
        self._state: dict[int, dict[str, Tensor]] = {}

    def attach(self, optimizer: Any) -> None:
        """Let an optimizer of the sharded parameters save and load complete tensors."""
        self._optimizer = optimizer
        optimizer.register_load_state_dict_pre_hook(distribute_optimizer)
        optimizer.register_state_dict_post_hook(self._insert_state)

    @contextmanager
    def gathered(self, with_optimizer: bool = True) -> Iterator[None]:
        """Gather weights and optimizer state for the main process's checkpoint in the block.

        All processes must enter it.
        """
        self._weights = gather_tensors(dict(self.module.named_parameters()))
        if with_optimizer:
            self._state = gather_optimizer(self._optimizer)
        try:
            yield
        finally:
            self._weights, self._state = {}, {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        return self.module(*args, **kwargs)

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Train on one batch.

        Raises:
            ConfigError: the run has no :class:`AtomicCheckpointHook`.
        """
        if self._optimizer is None:
            raise ConfigError(
                "model_wrapper_cfg: FullyShardedModel needs default_hooks.checkpoint.type="
                "'mim_plugins.AtomicCheckpointHook', because other hooks save a single shard"
            )
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data: Any) -> Any:
        """Predict one batch of a validation."""
        return self.module.val_step(data)

    def test_step(self, data: Any) -> Any:
        """Predict one batch of a test."""
        return self.module.test_step(data)

    def _insert_weights(self, module: nn.Module, state: dict, prefix: str, *_: Any) -> None:
        state.update({prefix + name: weight for name, weight in self._weights.items()})

    def _insert_state(self, optimizer: Any, state: dict) -> dict:
        entries = state["state"].items()
        return state | dict(
            state={number: each | self._state.get(number, {}) for number, each in entries}
        )


class _Sharded:
    """Base of a sharded model, for what MMEngine must not do with it."""

    @property
    def init_weights(self) -> None:
        """Raise AttributeError, so MMEngine finds no such method."""
        raise AttributeError("the weights were initialized before they were sharded")

    def __deepcopy__(self, memo: dict) -> NoReturn:
        """Raise a ConfigError."""
        raise ConfigError(
            "model_wrapper_cfg: FullyShardedModel does not support hooks that copy the model:"
            " remove EMAHook"
        )


def _initialize(module: Any) -> None:
    """Initialize the weights as MMEngine's runner does later."""
    if hasattr(module, "init_weights"):
        module.init_weights()
    for tensor in module.state_dict().values():
        broadcast(tensor)


def _blocks(module: nn.Module) -> list[nn.Module]:
    """Return the modules with parameters in all lists of blocks, outer ones first."""
    blocks = (
        block
        for name, part in module.named_modules()
        if name.rpartition(".")[2] in _BLOCKS and isinstance(part, nn.ModuleList | nn.Sequential)
        for block in part
        if next(block.parameters(), None) is not None
    )
    return list(dict.fromkeys(blocks))  # a block may be used several times


def _shared_names(module: nn.Module) -> list[tuple[str, ...]]:
    """Return the names of each parameter that has several."""
    names: dict[Tensor, tuple[str, ...]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names[parameter] = (*names.get(parameter, ()), name)
    return [each for each in names.values() if len(each) > 1]

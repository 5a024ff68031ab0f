"""Optimizers whose state is sharded across the processes."""

from typing import Any

import torch
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.optim import Optimizer

from ...registry import OPTIMIZERS


@OPTIMIZERS.register_module(name="ShardedOptimizer")
def build_sharded_optimizer(params: Any, optimizer_type: str, **kwargs: Any) -> Optimizer:
    """Build PyTorch's ZeroRedundancyOptimizer (ZeRO stage 1, arXiv 1910.02054) from a class name.

    Each process keeps the state of its share of the parameters. MMEngine's own class hangs when it
    saves, because it gathers the state in the main process alone. Here all processes gather it when
    the checkpoint hook saves (:class:`ShardedStateTransfer`). Checkpoints contain the complete
    state, as without sharding, so any number of processes can resume from them.

    Args:
        params: parameters or parameter groups.
        optimizer_type: name of a class in ``torch.optim``.
        **kwargs: arguments of that class.

    Returns:
        The sharded optimizer, or the plain one in a run of one process.

    Raises:
        ValueError: ``torch.optim`` has no such class.
    """
    kind = getattr(torch.optim, optimizer_type, None)
    if kind is None:
        raise ValueError(
            f"ShardedOptimizer: optimizer_type={optimizer_type!r} is not in torch.optim; use a"
            " name such as AdamW"
        )
    if not is_distributed():
        print_log("One process: the optimizer state is not sharded", logger="current")
        return kind(params, **kwargs)
    return ZeroRedundancyOptimizer(params, kind, **kwargs)


def gather_optimizer_state(runner: Runner) -> None:
    """Gather a sharded state on the main process before saving; all processes must call it."""
    optimizer = getattr(runner.optim_wrapper, "optimizer", None)
    if isinstance(optimizer, ZeroRedundancyOptimizer):
        optimizer.consolidate_state_dict()

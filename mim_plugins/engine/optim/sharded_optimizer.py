"""Optimizers whose state is shared out among the processes."""

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
    """PyTorch's ZeroRedundancyOptimizer (ZeRO stage 1, arXiv 1910.02054), chosen by names.

    Each process keeps the state of its share of the parameters. MMEngine has a class for that too,
    but it gathers the state while only the main process saves, and the run hangs; here the
    checkpoint hook gathers it first, by :func:`gather_optimizer_state`. Checkpoints hold the whole
    state, as without sharding: any number of processes can resume from them.

    Args:
        params: parameters or groups of them.
        optimizer_type: name of a class in ``torch.optim``.
        **kwargs: of that class.

    Returns:
        The sharded optimizer; in a run of one process, which has nothing to share, the plain one.

    Raises:
        ValueError: there is no such class.
    """
    kind = getattr(torch.optim, optimizer_type, None)
    if kind is None:
        raise ValueError(
            f"ShardedOptimizer: optimizer_type={optimizer_type!r} is not in torch.optim"
        )
    if not is_distributed():
        print_log("One process: the optimizer's state is not shared out", logger="current")
        return kind(params, **kwargs)
    return ZeroRedundancyOptimizer(params, kind, **kwargs)


def gather_optimizer_state(runner: Runner) -> None:
    """Bring a sharded state to the main process before it saves; every process must call it."""
    optimizer = getattr(runner.optim_wrapper, "optimizer", None)
    if isinstance(optimizer, ZeroRedundancyOptimizer):
        optimizer.consolidate_state_dict()

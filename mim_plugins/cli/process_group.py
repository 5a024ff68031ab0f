"""The processes of a distributed run: gloo where there is no GPU, and their leave."""

import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ..config import resolve_type, type_name
from ..engine.hooks.preemption_hook import REQUEUE_EXIT_CODE

T = TypeVar("T")
_RANK_VARIABLES = dict(
    slurm=dict(RANK="SLURM_PROCID", LOCAL_RANK="SLURM_LOCALID", WORLD_SIZE="SLURM_NTASKS"),
    mpi=dict(
        RANK="OMPI_COMM_WORLD_RANK",
        LOCAL_RANK="OMPI_COMM_WORLD_LOCAL_RANK",
        WORLD_SIZE="OMPI_COMM_WORLD_SIZE",
    ),
)
_SYNCHRONIZED = ("SyncBN", "MMSyncBN")  # in mmcv's registry


def init_gloo_on_cpu(cfg: Config) -> None:
    """Let a distributed run use gloo processes where there is no GPU; MMEngine alone cannot.

    Batch norms are then each process's own: PyTorch's synchronized ones need a GPU.
    """
    launcher = cfg.get("launcher", "none")
    if launcher not in ("pytorch", "slurm") or torch.cuda.is_available():
        return
    if not torch.distributed.is_initialized():
        if launcher == "slurm":
            _take_slurm_environment()
        # has default arguments that would hold a group that is there before it
        importlib.import_module("torch.distributed.nn.functional")
        torch.distributed.init_process_group("gloo")
    _replace_sync_batch_norms(cfg["model"], cfg.get("default_scope"))
    cfg["sync_bn"] = None
    cfg["model_wrapper_cfg"] = dict(
        type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False
    )


def run_distributed(run: Callable[[], T]) -> T:
    """Take leave of the run's other processes, if there are any, after ``run()`` has ended well.

    ``run`` must not hand out its runner: only once that is freed do the threads of gloo end, which
    can abort a process that ends before them. After an error the others may wait for something
    else, and are left.
    """
    try:
        result = run()
    except SystemExit as stop:
        if stop.code != REQUEUE_EXIT_CODE:
            raise
        code = stop.code
    else:
        _leave_process_group()
        return result
    _leave_process_group()
    sys.exit(code)


def _leave_process_group() -> None:
    if torch.distributed.is_initialized():
        gc.collect()  # a runner is part of cycles
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _replace_sync_batch_norms(cfg: Any, scope: str | None) -> None:
    """Name ``BN`` where a config, at any depth, names a synchronized batch norm."""
    if isinstance(cfg, dict):
        kind = cfg.get("type")
        # by the name first, or every part of the model would be imported here
        name = type_name(kind)
        if name in _SYNCHRONIZED or (
            "Sync" in name and _is_sync_batch_norm(resolve_type(kind, MODELS, scope))
        ):
            cfg["type"] = "BN"
        cfg = list(cfg.values())
    if isinstance(cfg, (list, tuple)):
        for part in cfg:
            _replace_sync_batch_norms(part, scope)


def _is_sync_batch_norm(kind: Any) -> bool:
    """Whether it is PyTorch's or mmcv's; both need a GPU."""
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__name__", "")
    return name == "SyncBatchNorm" and module.startswith(("torch.", "mmcv."))


def take_rank_from(launcher: str) -> None:
    """Set PyTorch's variables of rank and number of processes from those of another launcher."""
    for name, theirs in _RANK_VARIABLES.get(launcher, {}).items():
        if theirs in os.environ:
            os.environ[name] = os.environ[theirs]


def _take_slurm_environment() -> None:
    """Say in PyTorch's variables what Slurm says in its own."""
    take_rank_from("slurm")
    os.environ.setdefault("MASTER_PORT", "29500")
    if "MASTER_ADDR" not in os.environ:
        command = ["scontrol", "show", "hostnames", os.environ["SLURM_NODELIST"]]
        os.environ["MASTER_ADDR"] = subprocess.check_output(command, text=True).split()[0]

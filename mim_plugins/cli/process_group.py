"""Process group of a distributed run: gloo without a GPU, and a clean shutdown."""

import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS, MODELS

from ..config import resolve_type, type_name
from ..engine.hooks.preemption_hook import REQUEUE_EXIT_CODE
from ..engine.sharding import FullyShardedModel

T = TypeVar("T")
_RANK_VARIABLES = dict(
    slurm=dict(RANK="SLURM_PROCID", LOCAL_RANK="SLURM_LOCALID", WORLD_SIZE="SLURM_NTASKS"),
    mpi=dict(
        RANK="OMPI_COMM_WORLD_RANK",
        LOCAL_RANK="OMPI_COMM_WORLD_LOCAL_RANK",
        WORLD_SIZE="OMPI_COMM_WORLD_SIZE",
    ),
)
_SYNCHRONIZED = ("SyncBN", "MMSyncBN")  # names in mmcv's registry


def init_gloo_on_cpu(cfg: Config) -> None:
    """Set up a distributed run with gloo if there is no GPU, which MMEngine does not support.

    The model is wrapped for DDP, unless the config shards it by :class:`FullyShardedModel`.

    Batch norms are then not synchronized: PyTorch's SyncBatchNorm needs a GPU.
    """
    launcher = cfg.get("launcher", "none")
    if launcher not in ("pytorch", "slurm") or torch.cuda.is_available():
        return
    if not torch.distributed.is_initialized():
        if launcher == "slurm":
            _set_slurm_environment()
        # its default arguments would keep a reference to a group that exists before the import
        importlib.import_module("torch.distributed.nn.functional")
        torch.distributed.init_process_group("gloo")
    _replace_sync_batch_norms(cfg["model"], cfg.get("default_scope"))
    cfg["sync_bn"] = None
    wrapper = (cfg.get("model_wrapper_cfg") or {}).get("type")
    if resolve_type(wrapper, MODEL_WRAPPERS, cfg.get("default_scope")) is FullyShardedModel:
        return
    cfg["model_wrapper_cfg"] = dict(
        type="MMDistributedDataParallel",
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get("find_unused_parameters", False),
    )


def run_distributed(run: Callable[[], T]) -> T:
    """Call ``run()`` and shut the process group down after a successful end.

    ``run`` must not return its runner: gloo's threads end only when the runner is freed, and a
    thread still alive at exit can abort the process. After an error there is no shutdown, because
    the other processes may be blocked in another collective operation.
    """
    try:
        result = run()
    except SystemExit as stop:
        if stop.code != REQUEUE_EXIT_CODE:
            raise
        code = stop.code
    else:
        _shut_down_process_group()
        return result
    _shut_down_process_group()
    sys.exit(code)


def _shut_down_process_group() -> None:
    if torch.distributed.is_initialized():
        gc.collect()  # a runner is part of reference cycles
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _replace_sync_batch_norms(cfg: Any, scope: str | None) -> None:
    """Replace synchronized batch norms with ``BN`` at any depth of a config."""
    if isinstance(cfg, dict):
        kind = cfg.get("type")
        # compare names first: resolving a type imports its module
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
    """Return whether a class is SyncBatchNorm of PyTorch or mmcv, which need a GPU."""
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__name__", "")
    return name == "SyncBatchNorm" and module.startswith(("torch.", "mmcv."))


def set_rank_from_launcher(launcher: str) -> None:
    """Set PyTorch's rank and world size variables from those of another launcher."""
    for name, theirs in _RANK_VARIABLES.get(launcher, {}).items():
        if theirs in os.environ:
            os.environ[name] = os.environ[theirs]


def _set_slurm_environment() -> None:
    """Set PyTorch's environment variables from those of Slurm."""
    set_rank_from_launcher("slurm")
    os.environ.setdefault("MASTER_PORT", "29500")
    if "MASTER_ADDR" not in os.environ:
        command = ["scontrol", "show", "hostnames", os.environ["SLURM_NODELIST"]]
        os.environ["MASTER_ADDR"] = subprocess.check_output(command, text=True).split()[0]

"""Settings for GPUs that MMEngine does not choose itself, in any config."""

from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import RuntimeInfoHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..config import resolve_type
from ..engine.model_wrapper import unwrap_model


def use_gpu_settings(cfg: Config) -> None:
    """Let gradients share memory with DDP's buckets, and read losses only when they are logged.

    A ``model_wrapper_cfg`` of the config and subclasses of MMEngine's hook are not changed.
    """
    if not torch.cuda.is_available():
        return
    if cfg.get("model_wrapper_cfg") is None:
        cfg.model_wrapper_cfg = dict(
            type="MMDistributedDataParallel",
            broadcast_buffers=False,
            find_unused_parameters=cfg.get("find_unused_parameters", False),
            gradient_as_bucket_view=True,
        )
    if cfg.get("default_hooks") is None:
        cfg.default_hooks = {}
    # MMEngine's default; None would disable the hook
    cfg.default_hooks.setdefault("runtime_info", dict(type="RuntimeInfoHook"))
    hook = cfg.default_hooks.runtime_info
    kind = hook.get("type") if isinstance(hook, dict) else None
    if resolve_type(kind, HOOKS, cfg.get("default_scope")) is RuntimeInfoHook:
        hook["type"] = "mim_plugins.DeferredScalarsHook"


def copy_without_waiting(runner: Runner) -> None:
    """Let the model's data preprocessor copy batches to the GPU while the CPU continues.

    Not every preprocessor of MMEngine's projects accepts ``non_blocking``. A copy from memory that
    is not pinned waits in any case.
    """
    preprocessor: Any = getattr(unwrap_model(runner.model), "data_preprocessor", None)
    if hasattr(preprocessor, "_non_blocking"):
        preprocessor._non_blocking = True

"""Settings for GPUs that MMEngine does not choose itself, in any config."""

import torch
from mmengine.config import Config
from mmengine.hooks import RuntimeInfoHook
from mmengine.registry import HOOKS

from ..config import resolve_type
from ..layers.kernel_choice import chosen_kernels


def use_gpu_settings(cfg: Config) -> None:
    """Let gradients share memory with DDP's buckets, and read losses only when they are logged.

    A ``model_wrapper_cfg`` of the config and subclasses of MMEngine's hook are not changed.

    Raises:
        ConfigError: see :func:`chosen_kernels`.
    """
    chosen_kernels()
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

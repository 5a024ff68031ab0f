"""Training precision that the machine supports."""

import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from ..config import resolve_type

_BFLOAT16 = ("bfloat16", torch.bfloat16)
_FLOAT16 = ("float16", torch.float16, None)  # None: PyTorch's default
_FLOAT32 = ("float32", torch.float32)


def resolve_precision(cfg: Config) -> str | None:
    """Replace a mixed precision that this machine does not support; return a message if changed.

    bfloat16 falls back to float16 on GPUs without bfloat16, and to float32 without a GPU. The loss
    is scaled dynamically in float16 and, unless ``loss_scale`` is set, not in bfloat16.
    ``type='OptimWrapper'`` and ``dtype='float32'`` train in float32. Subclasses of MMEngine's
    wrappers are not changed.
    """
    wrapper = cfg.get("optim_wrapper") or {}
    kind = resolve_type(wrapper.get("type"), OPTIM_WRAPPERS, cfg.get("default_scope"))
    if kind not in (AmpOptimWrapper, OptimWrapper):
        return None
    is_single = kind is OptimWrapper or wrapper.get("dtype") in _FLOAT32
    if is_single or not torch.cuda.is_available():
        wrapper["type"] = "OptimWrapper"
        for name in ("dtype", "loss_scale", "use_fsdp"):
            wrapper.pop(name, None)
        return None if is_single else "no GPU: training in float32 instead of mixed precision"
    # before Ampere, PyTorch emulates bfloat16, which is slow
    supported = torch.cuda.is_bf16_supported(including_emulation=False)
    message = None
    if wrapper.get("dtype") in _BFLOAT16:
        if supported:
            wrapper.setdefault("loss_scale", dict(enabled=False))
            return None
        wrapper["dtype"] = "float16"
        message = "this GPU does not support bfloat16: training in float16"
    if wrapper.get("dtype") in _FLOAT16 and wrapper.get("loss_scale") == dict(enabled=False):
        wrapper["loss_scale"] = "dynamic"  # the range of float16 is too small for gradients
        message = message or "training in float16: loss_scale='dynamic'"
    return message

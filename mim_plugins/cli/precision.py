"""Training precision that the machine supports."""

import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from ..config import resolve_type

_BFLOAT16 = ("bfloat16", torch.bfloat16)


def resolve_precision(cfg: Config) -> str | None:
    """Replace a mixed precision that this machine does not support; return a message if changed.

    bfloat16 falls back to float16 on GPUs without bfloat16, and to float32 without a GPU. The loss
    is scaled dynamically in float16 and, unless ``loss_scale`` is set, not in bfloat16. Subclasses
    of MMEngine's wrapper are not changed.
    """
    wrapper = cfg.get("optim_wrapper") or {}
    scope = cfg.get("default_scope")
    if resolve_type(wrapper.get("type"), OPTIM_WRAPPERS, scope) is not AmpOptimWrapper:
        return None
    if not torch.cuda.is_available():
        wrapper["type"] = "OptimWrapper"
        for name in ("dtype", "loss_scale", "use_fsdp"):
            wrapper.pop(name, None)
        return "no GPU: training in float32 instead of mixed precision"
    # before Ampere, PyTorch emulates bfloat16, which is slow
    supported = torch.cuda.is_bf16_supported(including_emulation=False)
    message = None
    if wrapper.get("dtype") in _BFLOAT16:
        if supported:
            wrapper.setdefault("loss_scale", dict(enabled=False))
            return None
        wrapper["dtype"] = "float16"
        message = "this GPU does not support bfloat16: training in float16"
    if wrapper.get("loss_scale") == dict(enabled=False):
        wrapper["loss_scale"] = "dynamic"  # the range of float16 is too small for gradients
        message = message or "training in float16: loss_scale='dynamic'"
    return message

"""Access to a model inside a distributed wrapper."""

from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn


def unwrap_model(model: Any) -> Any:
    """Return the model inside MMEngine's distributed wrapper, or ``model`` itself without one."""
    return model.module if is_model_wrapper(model) else model


def class_of(module: nn.Module) -> type:
    """Return the class of a module, without the one that FSDP2 puts in front of it."""
    classes = type(module).__mro__
    names = [each.__name__ for each in classes]
    return classes[names.index("FSDPModule") + 1] if "FSDPModule" in names else classes[0]

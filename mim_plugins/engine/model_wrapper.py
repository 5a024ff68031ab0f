"""Access to a model inside a distributed wrapper."""

from typing import Any

from mmengine.model import is_model_wrapper


def unwrap_model(model: Any) -> Any:
    """Return the model inside MMEngine's distributed wrapper, or ``model`` itself without one."""
    return model.module if is_model_wrapper(model) else model

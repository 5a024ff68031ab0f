"""Checks of the weights that MMEngine is about to load into a model."""

import re
from typing import Any

from torch import Tensor, nn

from ...checkpoints import require_plain, require_weights
from ...errors import CheckpointError


def bare_name(name: str) -> str:
    """Return the name of a tensor without the prefix ``module.`` of model wrappers."""
    return re.sub(r"^(module\.)+", "", name)


def check_loadable(model: nn.Module, checkpoint: Any, source: str, resume: bool = False) -> None:
    """Check that a checkpoint contains valid weights for the model.

    MMEngine copies every tensor that matches in name and shape, including integers and infinities,
    and continues with random weights if no name matches.

    Args:
        model: model of the run, possibly wrapped.
        checkpoint: content of the file.
        source: name of the file, for messages.
        resume: accept infinite values in buffers, which the resumed run may have stored.

    Raises:
        CheckpointError: no name matches the model, or a tensor is invalid (see
            :func:`require_weights`).
    """
    own = {bare_name(name): tensor for name, tensor in model.state_dict().items()}
    content = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else {}
    given = {
        bare_name(str(name)): value
        for name, value in (content.items() if isinstance(content, dict) else ())
        if isinstance(value, Tensor)
    }
    if own and not own.keys() & given.keys():
        raise CheckpointError(
            f"'{source}' contains none of the {len(own)} tensors of {type(model).__name__}:"
            " MMEngine would continue with random weights; use a checkpoint of this model, or"
            " convert it with tools/model_converters/convert_checkpoint.py"
        )
    require_plain(given, source)
    parameters = {bare_name(name) for name, _ in model.named_parameters()}
    infinite = own.keys() - parameters if resume else frozenset()
    require_weights(given, source, own, infinite)

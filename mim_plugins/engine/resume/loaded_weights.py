"""Check the weights that MMEngine is about to load into a run's model."""

import re
from typing import Any

from torch import Tensor, nn

from ...checkpoints import require_plain, require_weights
from ...errors import CheckpointError


def bare_name(name: str) -> str:
    """Return a tensor's name without what wrappers of the whole model put in front of it."""
    return re.sub(r"^(module\.)+", "", name)


def require_loadable(model: nn.Module, checkpoint: Any, source: str) -> None:
    """Check that what MMEngine would copy from a checkpoint are weights of the model's kind.

    MMEngine copies whatever has a parameter's name and shape, integers and infinities included, and
    goes on with random weights if no name matches.

    Raises:
        CheckpointError: no tensor has a name of the model, or see :func:`require_weights`.
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
            f"'{source}' holds none of the {len(own)} tensors of {type(model).__name__}: MMEngine"
            " would go on with random weights; give a checkpoint of this model, or convert it with"
            " tools/model_converters/convert_checkpoint.py"
        )
    require_plain(given, source)
    require_weights(given, source, own)

"""State of a scheduler as plain data, for checkpoints and for comparisons."""

from typing import Any

from ...checkpoints.plain_copier import PlainCopier
from ...errors import ConfigError


def plain_scheduler_state(scheduler: Any) -> dict:
    """Return the state of a scheduler as plain data, with names instead of functions.

    Raises:
        ConfigError: it contains an object that cannot be stored.
    """
    copier = PlainCopier(numbers=False, function_text=_name)
    try:
        plain = {key: copier.copy(value, key) for key, value in scheduler.state_dict().items()}
    except ConfigError as error:
        problem = str(error)
    else:
        problem = copier.lost[0] if copier.lost else ""
    if problem:
        raise ConfigError(
            f"param_scheduler: {type(scheduler).__name__} contains an object that a checkpoint"
            f" cannot store ({problem}), so the run could not be resumed: use functions, and"
            " attributes that are numbers, texts, lists or dicts"
        )
    return plain


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)

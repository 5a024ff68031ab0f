"""Values of a config that a description needs, as plain data."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..checkpoints.literal_config import COMPUTED
from ..checkpoints.schema import is_integer, quote
from ..errors import CheckpointError

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_OF_ORDER = ("type", "to_rgb", "to_bgr")  # of a transform; others do not change the description


def as_dict(value: Any) -> dict[str, Any]:
    """Return ``value`` if it is a dict, or else an empty one."""
    return value if isinstance(value, dict) else {}


def plain(value: Any) -> Any:
    """Return ``value`` with Python's numbers and lists for those of NumPy, also inside others."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def refusal(name: str, value: Any, allowed: str) -> CheckpointError:
    """Return the error of an entry ``name`` of a config that must be ``allowed``."""
    return CheckpointError(
        f"the config's {name}={quote(value)} is not {allowed}; write it so, or give the config"
        " file of the run (--config) if its values are computed"
    )


def described_sides(name: str, value: Any) -> tuple[int, int]:
    """Return the two sides of an image that a number, or a pair, gives.

    Raises:
        CheckpointError: it is neither.
    """
    sides = [value, value] if type(value) is int else value
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        raise refusal(name, value, "a number of pixels or a pair")
    return described_pixels(name, sides[0]), described_pixels(name, sides[1])


def described_pixels(name: str, value: Any) -> int:
    """Return a number of pixels or channels.

    Raises:
        CheckpointError: it is none.
    """
    if not is_integer(value, 1):
        raise refusal(name, value, "a positive number")
    return value


def described_numbers(name: str, value: Any, default: float) -> tuple[float, ...]:
    """Return the numbers of a list, ``default`` without one.

    Raises:
        CheckpointError: it is no list of numbers.
    """
    if value is None:
        return (default,)
    is_list = isinstance(value, (list, tuple)) and len(value) > 0
    if not is_list or not all(type(each) in (int, float) for each in value):
        raise refusal(name, value, "a list of numbers")
    return tuple(value)


def described_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments that JSON can contain.

    Raises:
        CheckpointError: one is of another type.
    """
    for key, value in arguments.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError, RecursionError):
            raise refusal(f"{name}.{key}", value, "plain data") from None
    return dict(arguments)


def check_pipelines(config: Mapping[str, Any]) -> None:
    """Check that the transforms of a config are known, on which the order of colors depends.

    Raises:
        CheckpointError: only executing the config would give them.
    """
    for field in LOADERS:
        if _is_computed(config.get(field)):
            raise refusal(field, COMPUTED, "a loader whose transforms are written out")


def _is_computed(node: Any) -> bool:
    if isinstance(node, (list, tuple)):
        return any(map(_is_computed, node))
    if not isinstance(node, dict):
        return node is COMPUTED
    pipeline = node.get("pipeline")
    steps = pipeline if isinstance(pipeline, (list, tuple)) else [pipeline]
    entries = [as_dict(step).get(key) for step in steps for key in _OF_ORDER]
    inner = [node.get(key) for key in ("dataset", "datasets")]
    return any(each is COMPUTED for each in (*steps, *entries)) or any(map(_is_computed, inner))

"""Normalization of the images on which a model was trained, read from its checkpoint."""

import ast
from pathlib import Path
from typing import Any, NamedTuple

from .trained_classes import read_plain

# each of them reverses the channels of images, which are read as BGR
REVERSALS = ("to_rgb", "bgr_to_rgb", "rgb_to_bgr")


class Normalization(NamedTuple):
    """Normalization of a data preprocessor, for images read as BGR."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    to_rgb: bool
    """The model reads RGB; otherwise BGR."""


def trained_normalization(path: str | Path) -> Normalization | None:
    """Return the normalization in the config that MMEngine stores in ``meta`` of its checkpoints.

    The config is parsed and not executed. The result is None if the file contains no config with
    ``mean`` and ``std``, or cannot be read.
    """
    content = read_plain(path)
    for key in ("meta", "cfg"):
        content = content.get(key) if type(content) is dict else None
    return normalization_in(content) if type(content) is str else None


def normalization_in(config: str) -> Normalization | None:
    """Return the normalization in the text of a config, None without ``mean`` and ``std``."""
    try:
        statements = ast.parse(config).body
    except (SyntaxError, ValueError, RecursionError):
        return None
    assigned = {
        target.id: node.value
        for node in statements
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    model = _entries(assigned.get("model"))
    entries = _entries(model.get("data_preprocessor")) or _entries(
        assigned.get("data_preprocessor")
    )
    mean, std = (_numbers(entries.get(key)) for key in ("mean", "std"))
    if mean is None or std is None:
        return None
    return Normalization(mean, std, any(_value(entries.get(key)) is True for key in REVERSALS))


def _entries(node: ast.expr | None) -> dict[str, ast.expr]:
    """Return the entries of a call ``dict(key=value, ...)``."""
    if not isinstance(node, ast.Call):
        return {}
    return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}


def _value(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None


def _numbers(node: ast.expr | None) -> tuple[float, ...] | None:
    values = _value(node)
    if not isinstance(values, (list, tuple)) or not values:
        return None
    return tuple(values) if all(type(each) in (int, float) for each in values) else None

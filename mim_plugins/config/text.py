"""Text of a config that reads back as the same config."""

import math
from enum import Enum
from keyword import iskeyword
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

_WIDTH = 100  # characters of a line


def config_text(cfg: Config) -> str:
    """Return a config as Python code, from which MMEngine reads the same values in the same order.

    MMEngine's own text contains names without a definition for infinite numbers, data types,
    devices and paths, and sorts the entries, although the order of hooks matters. Data types become
    their names, devices and paths become text.
    """
    lines = []
    for key, value in cfg.to_dict().items():
        name = key if _is_name(key) else f"globals()[{key!r}]"
        lines.append(f"{name} = {_code(value, len(name) + 3, 0)}\n")
    return "".join(lines)


def _code(value: Any, used: int, indent: int) -> str:
    """Return an expression, on one line if it fits after ``used`` characters."""
    start, entries, end = _parts(value)
    if not entries:
        return start + end
    texts = [
        name + _code(each, indent + len(name) + 5, indent + 4)  # 4 and a comma
        for name, each in entries
    ]
    comma = "," if len(texts) == 1 and isinstance(value, tuple) else ""
    line = start + ", ".join(texts) + comma + end
    if "\n" not in line and used + len(line) <= _WIDTH:
        return line
    margin = "\n" + " " * indent
    return start + "".join(f"{margin}    {text}," for text in texts) + margin + end


def _parts(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """Return the start, the entries with the text before each, and the end of an expression."""
    if isinstance(value, dict):
        if all(map(_is_name, value)):
            return "dict(", [(f"{key}=", each) for key, each in value.items()], ")"
        return "{", [(f"{_code(key, 0, 0)}: ", each) for key, each in value.items()], "}"
    for kind, (start, end) in ((list, "[]"), (tuple, "()"), (set, "{}")):
        if isinstance(value, kind) and (value or kind is not set):
            return start, [("", each) for each in value], end
    return _atom(value), [], ""


def _atom(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    # MMEngine makes text of data types in pure Python configs
    if isinstance(value, torch.dtype) or _names_dtype(value):
        value = str(value).removeprefix("torch.")
    if isinstance(value, (torch.device, PurePath)):
        value = str(value)
    return repr(value)


def _names_dtype(value: Any) -> bool:
    if not isinstance(value, str) or not value.startswith("torch."):
        return False
    return isinstance(getattr(torch, value.removeprefix("torch."), None), torch.dtype)


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier() and not iskeyword(key)

"""Paths in a config, which MMEngine cannot print or save unless they are texts."""

import os
from pathlib import PurePath
from typing import Any

from mmengine.config import Config


def use_text_paths(cfg: Config) -> Config:
    """Replace each ``pathlib`` path in a config by its text, in place, and return the config."""
    _replace(cfg._cfg_dict)
    return cfg


def _replace(node: Any) -> Any:
    if isinstance(node, PurePath):
        return os.fspath(node)
    if isinstance(node, dict):
        for key in node:
            value = dict.get(node, key)  # reading imports what a lazy entry names
            replaced = _replace(value)
            if replaced is not value:
                dict.__setitem__(node, key, replaced)
    elif isinstance(node, list):
        node[:] = map(_replace, node)
    elif type(node) is tuple and any(isinstance(part, PurePath | dict | list) for part in node):
        return tuple(map(_replace, node))
    return node

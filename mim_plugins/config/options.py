"""Changes to a config by ``key=value`` options, which must each change an entry that is read."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.config import Config

from .option_checks import check_names, check_preprocessor, check_value, dotted, look_up
from .schema import DEFAULT_HOOKS, Path
from .values import UNKNOWN

_DELETE = "_delete_"


def merge_options(cfg: Config, options: dict[str, Any]) -> None:
    """Apply options such as ``{'model.backbone.img_size': 192}`` to ``cfg``.

    A key that the config does not contain must be an argument of the class that is built there.
    A missing entry or None may become a dict.

    Raises:
        ValueError: a key changes nothing (the message suggests the nearest one), a list has no
            such entry, or a value is of another kind than the one that it replaces. ``cfg`` is
            then unchanged.
    """
    for key in options:
        if "" in key.split("."):
            raise ValueError(f"'{key}': a name between the dots is missing")
    leaves = list(_leaves((), {tuple(key.split(".")): value for key, value in options.items()}))
    replaced = {path[:-1] for path, value in leaves if path[-1] == _DELETE and value}
    old = cfg._cfg_dict
    for path, _ in leaves:
        replaced |= _check_path(old, path, replaced)
    leaves += _missing_types(old, leaves, replaced)
    nested = _nest(leaves, replaced)
    merged = copy.deepcopy(cfg)
    merged.merge_from_dict(copy.deepcopy(nested))
    scope = merged.get("default_scope")
    for path, value in leaves:
        check_preprocessor(merged._cfg_dict, path)
        if path[-1] not in (_DELETE, "type", "_scope_"):
            check_names(old, merged._cfg_dict, path, replaced, scope)
            check_value(old, merged._cfg_dict, (path, value), replaced, scope)
    cfg.merge_from_dict(nested)


def _leaves(start: Path, options: dict) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of each option, including those nested in dicts."""
    for key, value in options.items():
        path = (*start, *(key if isinstance(key, tuple) else (str(key),)))
        if isinstance(value, dict) and value:
            yield from _leaves(path, value)
        else:
            yield path, value


def _nest(leaves: Iterable[tuple[Path, Any]], replaced: set[Path]) -> dict:
    nested: dict = {}
    for path, value in (*leaves, *(((*path, _DELETE), True) for path in replaced)):
        node = nested
        for depth, key in enumerate(path[:-1], 1):
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise ValueError(f"'{dotted(path)}': '{dotted(path[:depth])}' is given as well")
        if isinstance(node.get(path[-1]), dict):
            raise ValueError(f"'{dotted(path)}': entries of it are given as well")
        node[path[-1]] = value
    return nested


def _check_path(old: Any, path: Path, replaced: set[Path]) -> set[Path]:
    """Check that MMEngine can follow ``path``; return the path of a None that becomes a dict."""
    node = old
    for depth, key in enumerate(path):
        parent = path[:depth]
        if parent in replaced:
            return set()
        if isinstance(node, (list, tuple)):
            node = _entry(node, path, depth)
        elif isinstance(node, dict):
            if key not in node:
                return set()
            node = dict.get(node, key)
        elif node is None:
            return {parent}
        else:
            raise ValueError(
                f"'{dotted(path)}': '{dotted(parent)}' is {node!r}, which has no entries; give"
                f" {dotted(parent)}.{_DELETE}=True too if a dict is to replace it"
            )
    return set()


def _entry(node: list | tuple, path: Path, depth: int) -> Any:
    key, parent = path[depth], dotted(path[:depth])
    if not key.isdigit() or int(key) >= len(node):
        indices = f"0 to {len(node) - 1}" if node else "none"
        raise ValueError(
            f"'{dotted(path)}': '{parent}' is a list and has no entry '{key}'; its entries:"
            f" {indices}. To extend a list, use a config file"
        )
    if isinstance(node, tuple) or depth == len(path) - 1 or path[depth + 1] == _DELETE:
        raise ValueError(
            f"'{dotted(path)}': a single entry of '{parent}' cannot be replaced; give the whole"
            f" list, such as {parent}='[...]', or use a config file"
        )
    return node[int(key)]


def _missing_types(old: Any, leaves: list, replaced: set[Path]) -> list[tuple[Path, str]]:
    """Return the types of new dicts at places where only one type is possible."""
    types: dict[Path, str] = {}
    for path, _ in leaves:
        for depth in range(1, len(path)):
            kind = _only_type(path[:depth], path[depth])
            if kind and look_up(old, (*path[:depth], "type"), replaced) is UNKNOWN:
                types[(*path[:depth], "type")] = kind
    given = {path for path, _ in leaves}
    return [(path, kind) for path, kind in types.items() if path not in given]


def _only_type(parent: Path, key: str) -> str | None:
    if parent[-1] == "init_cfg" and not key.isdigit():
        return "Pretrained"
    if parent[0] == "default_hooks" and len(parent) == 2:
        return DEFAULT_HOOKS.get(parent[1])
    return "Visualizer" if parent == ("visualizer",) else None

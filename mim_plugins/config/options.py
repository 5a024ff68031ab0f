"""Changes of a config by ``key=value`` options, each of which must change what something reads."""

import copy
import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from .arguments import Arguments
from .schema import (
    CLOSE,
    DEFAULT_HOOKS,
    Path,
    arguments_at,
    is_read_at_top,
    unknown_name,
)
from .values import UNKNOWN, kind_mismatch

_DELETE = "_delete_"


def merge_options(cfg: Config, options: dict[str, Any]) -> None:
    """Apply options such as ``{'model.backbone.img_size': 192}`` to ``cfg``.

    A key that the config does not list must be an argument of what is built there. A dict may
    stand where nothing or None is.

    Raises:
        ValueError: a key changes nothing, a list has no such entry, or a value is of another kind
            than what it replaces; the nearest key is named. ``cfg`` is then as before.
    """
    for key in options:
        if "" in key.split("."):
            raise ValueError(f"'{key}': a name between the dots is missing")
    leaves = list(_leaves((), {tuple(key.split(".")): value for key, value in options.items()}))
    replaced = {path[:-1] for path, value in leaves if path[-1] == _DELETE and value}
    old = cfg._cfg_dict
    for path, _ in leaves:
        replaced |= _check_way(old, path, replaced)
    leaves += _missing_types(old, leaves, replaced)
    nested = _nest(leaves, replaced)
    merged = copy.deepcopy(cfg)
    merged.merge_from_dict(copy.deepcopy(nested))
    scope = merged.get("default_scope")
    for path, value in leaves:
        if path[-1] not in (_DELETE, "type", "_scope_"):
            _check_names(old, merged._cfg_dict, path, replaced, scope)
            _check_value(old, merged._cfg_dict, (path, value), replaced, scope)
    cfg.merge_from_dict(nested)


def _leaves(start: Path, options: dict) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of each option, from within dicts of options too."""
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
                raise ValueError(f"'{_text(path)}': '{_text(path[:depth])}' is given as well")
        if isinstance(node.get(path[-1]), dict):
            raise ValueError(f"'{_text(path)}': entries of it are given as well")
        node[path[-1]] = value
    return nested


def _check_way(old: Any, path: Path, replaced: set[Path]) -> set[Path]:
    """Check that MMEngine can follow ``path``; return the paths of None that become dicts."""
    node = old
    for depth, key in enumerate(path):
        way = path[:depth]
        if way in replaced:
            return set()
        if isinstance(node, (list, tuple)):
            node = _entry(node, path, depth)
        elif isinstance(node, dict):
            if key not in node:
                return set()
            node = dict.get(node, key)
        elif node is None:
            return {way}
        else:
            raise ValueError(
                f"'{_text(path)}': '{_text(way)}' is {node!r}, which has no entries; give"
                f" {_text(way)}.{_DELETE}=True too if a dict is to replace it"
            )
    return set()


def _entry(node: list | tuple, path: Path, depth: int) -> Any:
    key, way = path[depth], _text(path[:depth])
    if not key.isdigit() or int(key) >= len(node):
        there = f"0 to {len(node) - 1}" if node else "none"
        raise ValueError(
            f"'{_text(path)}': '{way}' is a list and has no entry '{key}'; its entries: {there}."
            " Add to a list in a config file"
        )
    if isinstance(node, tuple) or depth == len(path) - 1 or path[depth + 1] == _DELETE:
        raise ValueError(
            f"'{_text(path)}': a single entry of '{way}' cannot be replaced; give the whole list,"
            f" such as {way}='[...]', or write it in a config file"
        )
    return node[int(key)]


def _missing_types(old: Any, leaves: list, replaced: set[Path]) -> list[tuple[Path, str]]:
    """Return the types of new dicts whose place leaves but one."""
    types: dict[Path, str] = {}
    for path, _ in leaves:
        for depth in range(1, len(path)):
            kind = _only_type(path[:depth], path[depth])
            if kind and _look_up(old, (*path[:depth], "type"), replaced) is UNKNOWN:
                types[(*path[:depth], "type")] = kind
    given = {path for path, _ in leaves}
    return [(path, kind) for path, kind in types.items() if path not in given]


def _only_type(way: Path, key: str) -> str | None:
    if way[-1] == "init_cfg" and not key.isdigit():
        return "Pretrained"
    if way[0] == "default_hooks" and len(way) == 2:
        return DEFAULT_HOOKS.get(way[1])
    return "Visualizer" if way == ("visualizer",) else None


def _look_up(root: Any, path: Path, replaced: Iterable[Path] = ()) -> Any:
    """Return what is at ``path``, ``UNKNOWN`` if nothing is or if it is replaced."""
    node = root
    for depth, key in enumerate(path):
        if path[:depth] in replaced:
            return UNKNOWN
        if isinstance(node, dict) and key in node:
            node = dict.get(node, key)
        elif isinstance(node, (list, tuple)) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        else:
            return UNKNOWN
    return node


def _check_names(old: Any, new: Any, path: Path, replaced: set[Path], scope: Any) -> None:
    """Check that each key of ``path`` is there, or is taken by what is built from its dict."""
    if path[0] in old and not is_read_at_top(path[0]):
        _check_variable(old, path)
    for depth, key in enumerate(path):
        way = path[:depth]
        if _look_up(old, path[: depth + 1], replaced) is not UNKNOWN:
            continue
        if path[0] == "custom_imports":
            raise ValueError(
                f"'{_text(path)}': imports are made while a config file is read; write"
                " custom_imports in the file"
            )
        node = _look_up(new, way)
        if not isinstance(node, dict):
            return
        arguments = arguments_at(way, node, scope)
        problem = (
            _unlike_siblings(_look_up(old, way, replaced), path, depth)
            if arguments is None
            else unknown_name(way, key, arguments)
        )
        if problem is None and way == ("default_hooks",):
            problem = _untyped_hook(node, path, depth)
        if problem is not None:
            raise ValueError(problem)


def _untyped_hook(node: dict, path: Path, depth: int) -> str | None:
    hook = dict.get(node, path[depth])
    if not isinstance(hook, dict) or "type" in hook:
        return None
    return (
        f"'{_text(path)}': there is no hook '{path[depth]}' in default_hooks, and a new one needs"
        f" {_text(path[: depth + 1])}.type; those of MMEngine are {', '.join(DEFAULT_HOOKS)}"
    )


def _unlike_siblings(siblings: Any, path: Path, depth: int) -> str | None:
    """Compare a new key with those beside it, where nothing else can be compared."""
    if not isinstance(siblings, dict):
        return None
    full = _text(path[: depth + 1])
    near = difflib.get_close_matches(path[depth], map(str, siblings), n=1, cutoff=CLOSE)
    if near:
        return f"'{full}' is not there; did you mean {_text((*path[:depth], *near))}?"
    if siblings:
        print_log(
            f"option '{full}': not in the config so far, and what reads '{_text(path[:depth])}' is"
            f" not known; there are {', '.join(map(str, siblings))}",
            logger="current",
            level=30,
        )
    return None


def _check_variable(old: Any, path: Path) -> None:
    """Refuse a change of a variable whose value the config file has copied elsewhere."""
    value = dict.get(old, path[0])
    if value is None or isinstance(value, bool) or value in (0, 1, "", (), [], {}):
        return
    copies = [
        _text(way)
        for key in old
        if is_read_at_top(key)
        for way in _equal_parts(dict.get(old, key), value, (key,))
    ]
    if copies:
        raise ValueError(
            f"'{_text(path)}': nothing reads '{path[0]}' itself; it is a variable of the config"
            f" file, whose value was put into {', '.join(copies[:4])}: change that"
        )


def _equal_parts(node: Any, value: Any, way: Path) -> Iterator[Path]:
    if type(node) is type(value) and node == value:
        yield way
    elif isinstance(node, dict):
        for key in node:
            yield from _equal_parts(dict.get(node, key), value, (*way, str(key)))
    elif isinstance(node, (list, tuple)):
        for index, part in enumerate(node):
            yield from _equal_parts(part, value, (*way, str(index)))


def _check_value(
    old: Any, new: Any, leaf: tuple[Path, Any], replaced: set[Path], scope: Any
) -> None:
    """Check that a value is of the kind of the one before, or that its argument is annotated as."""
    path, value = leaf
    before = _look_up(old, path, replaced)
    node = _look_up(new, path[:-1])
    arguments: Arguments | None = None
    if isinstance(node, dict) and type(before) is not type(value):
        arguments = arguments_at(path[:-1], node, scope)
    annotation = arguments.names.get(path[-1], UNKNOWN) if arguments is not None else UNKNOWN
    expected = kind_mismatch(value, before, annotation)
    if expected is not None:
        raise ValueError(f"'{_text(path)}': {value!r} is not {expected}, which is expected here")


def _text(path: Path) -> str:
    return ".".join(path)

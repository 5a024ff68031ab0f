"""Checks that an option changes something that is read, and to a value of the right kind."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from mmengine.logging import print_log

from .arguments import Arguments
from .schema import CLOSE, DEFAULT_HOOKS, Path, arguments_at, is_read_at_top, unknown_name
from .values import UNKNOWN, kind_mismatch


def dotted(path: Path) -> str:
    """Return a path as users write it, such as ``model.backbone``."""
    return ".".join(path)


def look_up(root: Any, path: Path, replaced: Iterable[Path] = ()) -> Any:
    """Return the value at ``path``, or ``UNKNOWN`` if it is missing or being replaced."""
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


def check_names(old: Any, new: Any, path: Path, replaced: set[Path], scope: Any) -> None:
    """Check that each key of ``path`` exists or is an argument of the class that is built there."""
    if path[0] == "custom_imports":
        raise ValueError(
            f"'{dotted(path)}': modules are imported while a config file is read; write"
            " custom_imports in the file"
        )
    if path[0] in old and not is_read_at_top(path[0]):
        _refuse_variable(old, path)
    for depth, key in enumerate(path):
        parent = path[:depth]
        if look_up(old, path[: depth + 1], replaced) is not UNKNOWN:
            continue
        node = look_up(new, parent)
        if not isinstance(node, dict):
            return
        arguments = arguments_at(parent, node, scope)
        problem = (
            _unlike_siblings(look_up(old, parent, replaced), path, depth)
            if arguments is None
            else unknown_name(parent, key, arguments)
        )
        if problem is None and parent == ("default_hooks",):
            problem = _untyped_hook(look_up(old, parent, replaced), node, path[: depth + 1])
        if problem is not None:
            raise ValueError(problem)


def check_preprocessor(new: Any, path: Path) -> None:
    """Refuse a change of the ``data_preprocessor`` that MMEngine uses for models without one."""
    if path[0] == "data_preprocessor" and path[0] in (dict.get(new, "model") or {}):
        raise ValueError(
            f"'{dotted(path)}': nothing reads it, because the model has its own data_preprocessor;"
            f" change model.{dotted(path)}"
        )


def check_value(
    old: Any, new: Any, leaf: tuple[Path, Any], replaced: set[Path], scope: Any
) -> None:
    """Check that a value has the kind of the old one or of its argument's annotation."""
    path, value = leaf
    before = look_up(old, path, replaced)
    node = look_up(new, path[:-1])
    arguments: Arguments | None = None
    if isinstance(node, dict) and type(before) is not type(value):
        arguments = arguments_at(path[:-1], node, scope)
    annotation = arguments.names.get(path[-1], UNKNOWN) if arguments is not None else UNKNOWN
    expected = kind_mismatch(value, before, annotation)
    if expected is not None:
        raise ValueError(f"'{dotted(path)}': {value!r} is not {expected}, which is expected here")


def _untyped_hook(old: Any, new: dict, path: Path) -> str | None:
    """Return an error text if the hook at ``path`` is neither in the config nor a complete one."""
    *_, name = path
    hook = dict.get(new, name)
    if not isinstance(hook, dict) or "type" in hook:
        return None
    names = dict.fromkeys((*DEFAULT_HOOKS, *(old if isinstance(old, dict) else ())))
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean default_hooks.{near[0]}?" if near else f"its hooks: {', '.join(names)}."
    return (
        f"'{dotted(path)}': default_hooks has no hook '{name}'; {hint} A new hook needs"
        f" {dotted(path)}.type"
    )


def _unlike_siblings(siblings: Any, path: Path, depth: int) -> str | None:
    """Compare a new key with the other keys of its dict, whose reader is unknown."""
    if not isinstance(siblings, dict):
        return None
    full = dotted(path[: depth + 1])
    near = difflib.get_close_matches(path[depth], map(str, siblings), n=1, cutoff=CLOSE)
    if near:
        return f"'{full}' is not in the config; did you mean {dotted((*path[:depth], *near))}?"
    if siblings:
        print_log(
            f"option '{full}': this entry is new, and it is unknown whether it is read;"
            f" '{dotted(path[:depth])}' contains {', '.join(map(str, siblings))}",
            logger="current",
            level=30,
        )
    return None


def _refuse_variable(old: Any, path: Path) -> NoReturn:
    """Refuse a change of a variable, whose value was used when the config file was read."""
    copies = copies_of(old, path[:1]) or copies_of(old, path)
    use = (
        f"copied to {', '.join(copies[:4])}: change that"
        if copies
        else (
            "used while the file was read: change the entries that were made from it"
            " (tools/misc/print_config.py shows them), or the file"
        )
    )
    raise ValueError(
        f"'{dotted(path)}': nothing reads '{path[0]}' itself; it is a variable of the config file,"
        f" whose value was {use}"
    )


def copies_of(entries: Any, path: Path) -> list[str]:
    """Return the places with the value at ``path`` in entries that are read.

    Values that many unrelated entries share, such as 0 and True, have no known copies.
    """
    value = look_up(entries, path)
    common = value is UNKNOWN or value is None or isinstance(value, bool)
    if common or value in (0, 1, "", (), [], {}):
        return []
    return [
        dotted(copy)
        for key in entries
        if is_read_at_top(key)
        for copy in _equal_parts(dict.get(entries, key), value, (key,))
    ]


def _equal_parts(node: Any, value: Any, path: Path) -> Iterator[Path]:
    if type(node) is type(value) and node == value:
        yield path
    elif isinstance(node, dict):
        for key in node:
            yield from _equal_parts(dict.get(node, key), value, (*path, str(key)))
    elif isinstance(node, (list, tuple)):
        for index, part in enumerate(node):
            yield from _equal_parts(part, value, (*path, str(index)))

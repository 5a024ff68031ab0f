"""Arguments of a class, including those that it passes on to its parents."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mmengine.hooks import CheckpointHook
from torch import nn

# both reject further arguments: PyTorch immediately, the hook at its first save
_ACCEPT_NO_MORE = (CheckpointHook, nn.Module)
_VISUALIZATION_HOOK = "mmpretrain.engine.hooks.visualization_hook.VisualizationHook"
# annotations of other packages are not exact: an int of mmpretrain may accept a tuple
_EXACTLY_ANNOTATED = ("mim_plugins", "mmengine", "torch")
_READERS = ("get", "pop", "setdefault")
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Arguments(NamedTuple):
    """Names that a dict of a config may contain."""

    owner: str
    """Name of the class or function, for messages."""
    names: dict[str, Any]
    """Annotation of each name; ``inspect.Parameter.empty`` where there is none."""
    is_open: bool
    """True if further names, which cannot be listed, may be accepted."""


def accepted_arguments(built: Callable) -> Arguments:
    """Return the arguments of a class or function.

    The arguments of a parent are included if the constructor passes ``**kwargs`` on to it. Keys
    that the constructor reads from ``kwargs`` are included as well.
    """
    owner = getattr(built, "__name__", str(built))
    if not inspect.isclass(built):
        names, variadic = _named(built)
        return Arguments(owner, names, variadic is not None)
    found: dict[str, Any] = {}
    for each in inspect.getmro(built):
        init = vars(each).get("__init__")
        if init is None or each is object:
            continue
        names, variadic = _named(init)
        found = names | found
        reader = _later_reader(each)
        if reader is not None:
            return Arguments(owner, found | _named(reader)[0], False)
        if variadic is None:
            return Arguments(owner, found, False)
        found |= dict.fromkeys(_keys_read(init, variadic), inspect.Parameter.empty)
        if each in _ACCEPT_NO_MORE:
            return Arguments(owner, found, False)
        if not _passes_to_parent(init, variadic, each.__name__):
            return Arguments(owner, found, True)
    return Arguments(owner, found, False)


def _later_reader(owner: type) -> Callable | None:
    """Return the function that a class passes its ``**kwargs`` to hours after it is built."""
    if f"{owner.__module__}.{owner.__name__}" != _VISUALIZATION_HOOK:
        return None
    from mmpretrain.visualization import UniversalVisualizer

    return UniversalVisualizer.visualize_cls


def _named(function: Callable) -> tuple[dict[str, Any], str | None]:
    """Return the named parameters with annotations, and the name of ``**kwargs`` or None."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return {}, "kwargs"
    names = {
        each.name: _evaluated(each.annotation, function)
        for each in parameters
        if each.kind in _NAMED and each.name != "self"
    }
    variadic = [each.name for each in parameters if each.kind is each.VAR_KEYWORD]
    return names, variadic[0] if variadic else None


def _evaluated(annotation: Any, function: Callable) -> Any:
    function = inspect.unwrap(function)
    if (getattr(function, "__module__", None) or "").partition(".")[0] not in _EXACTLY_ANNOTATED:
        return inspect.Parameter.empty
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, getattr(function, "__globals__", {}))
    except Exception:  # names that are imported for type checkers only
        return inspect.Parameter.empty


def _nodes(function: Callable) -> Iterator[ast.AST]:
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
        yield from ast.walk(ast.parse(source))
    except (OSError, SyntaxError, TypeError):  # no source
        return


def _keys_read(init: Callable, variadic: str) -> set[str]:
    """Return the constant keys that a constructor reads from its ``**kwargs``."""
    keys = set()
    for node in _nodes(init):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in _READERS and _is_name(node.func.value, variadic):
                keys.add(node.args[0])
        elif isinstance(node, ast.Subscript) and _is_name(node.value, variadic):
            keys.add(node.slice)
        elif isinstance(node, ast.Compare) and _is_name(node.comparators[0], variadic):
            keys.add(node.left)
    return {
        key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _passes_to_parent(init: Callable, variadic: str, owner: str) -> bool:
    """Return whether the source of ``owner`` contains ``super().__init__(**kwargs)``."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "__init__"
        and isinstance(node.func.value, ast.Call)
        and all(_is_name(each, owner) or _is_name(each, "self") for each in node.func.value.args)
        and any(each.arg is None and _is_name(each.value, variadic) for each in node.keywords)
        for node in _nodes(init)
    )


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name

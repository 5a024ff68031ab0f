"""Classes that the ``type`` entries of configs name."""

from typing import Any

from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.registry import Registry


def resolve_type(kind: Any, registry: Registry, scope: str | None = None) -> Any:
    """Return the class or function that a ``type`` entry names, or None if it does not exist.

    Args:
        kind: a name with or without a scope, a dotted path, a class or function, or one of
            MMEngine's lazy objects.
        registry: any registry of the tree that is searched.
        scope: the config's ``default_scope``; None for the current one.
    """
    if isinstance(kind, (LazyAttr, LazyObject)):
        kind = kind.build()
    if isinstance(kind, str):
        kind = _find(kind, registry, scope)
    return kind if callable(kind) else None


def type_name(kind: Any) -> str:
    """Return the name of a ``type`` entry without scope and modules, ``""`` for none."""
    if isinstance(kind, (LazyAttr, LazyObject)):
        kind = kind.build()
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", "")
    return name.rpartition(".")[2]


def _find(name: str, registry: Registry, scope: str | None) -> Any:
    try:
        with registry.switch_scope_and_registry(scope) as found:
            return found.get(name)
    except Exception:  # a package that cannot be imported; building it raises the same error
        return None

"""Values in the text of a config, read without executing it."""

import ast
import re
from typing import Any

_NUMPY_NUMBER = re.compile(r"np\.(float|u?int)\d+")
_NOT_FINITE = re.compile(r"(?:(?:np\.)?float\d*\()?'?([-+]?(?:nan|inf))'?\)?", re.IGNORECASE)
_PARSING_ERRORS = (SyntaxError, ValueError, RecursionError, MemoryError)


class _Computed:
    """Mark of a value that only executing the config would give; it is not plain data."""

    def __repr__(self) -> str:
        return "(computed)"


COMPUTED = _Computed()


def literal_config(text: str) -> dict[str, Any]:
    """Return the variables of a config by name, such as MMEngine stores in its checkpoints.

    Calls of ``dict`` become dicts, and NumPy's numbers (``np.float64(0.5)``) those of Python. NaN
    and infinities, which MMEngine writes as ``nan`` and ``inf``, are numbers. Values that would
    have to be computed are :data:`COMPUTED`. The result is empty if the text is not Python.
    """
    try:
        statements = ast.parse(text).body
        return {
            target.id: _value(node.value)
            for node in statements
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
    except _PARSING_ERRORS:
        return {}


def _value(node: ast.expr) -> Any:
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(each) for each in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return _entries([(None if key is None else _value(key), value) for key, value in pairs])
    if isinstance(node, ast.Call) and _is_numpy_number(node):
        return _value(node.args[0])
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != "dict" or len(node.args) > 1:
            return _not_finite(node)
        merged: list[tuple[Any, ast.expr]] = [(None, each) for each in node.args]
        return _entries(merged + [(each.arg, each.value) for each in node.keywords])
    try:
        return ast.literal_eval(node)
    except (*_PARSING_ERRORS, TypeError):
        return _not_finite(node)


def _not_finite(node: ast.expr) -> Any:
    """Return NaN or an infinity if an expression is one, and :data:`COMPUTED` for all others."""
    written = _NOT_FINITE.fullmatch(ast.unparse(node))
    return float(written[1]) if written else COMPUTED


def _entries(pairs: list[tuple[Any, ast.expr]]) -> Any:
    """Return the dict of ``pairs``; a key that is None merges the value."""
    content: dict[str, Any] = {}
    for key, node in pairs:
        value = _value(node)
        if key is None and type(value) is dict:
            content.update(value)
        elif isinstance(key, str):
            content[key] = value
        else:
            return COMPUTED
    return content


def _is_numpy_number(call: ast.Call) -> bool:
    """Return whether a call is the representation of a number of NumPy 2."""
    if len(call.args) != 1 or call.keywords:
        return False
    is_constant = isinstance(call.args[0], (ast.Constant, ast.UnaryOp))
    return is_constant and bool(_NUMPY_NUMBER.fullmatch(ast.unparse(call.func)))

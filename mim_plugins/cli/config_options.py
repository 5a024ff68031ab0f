"""The option ``--cfg-options`` of the command-line tools."""

import argparse
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mmengine.config import DictAction

_CLOSING = {"(": ")", "[": "]"}
_DICT = re.compile(r"dict\(.*\)|\{\s*\}|\{.*:.*\}", re.DOTALL)
_PATHS = re.compile(r"(.*_)?(dir|root|file|from|prefix)|checkpoint|(img|seg_map)_path")


class ConfigOptions(DictAction):
    """MMEngine's action for ``key=value``, with values that keep their blanks, and usage errors."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store the options in the namespace as a dict."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for option in values or ():
            key, separator, text = option.partition("=")
            if not separator:
                parser.error(
                    f"{option_string}: '{option}' is not key=value, such as model.head.a=1"
                )
            try:
                options[key] = parse_value(text, bool(_PATHS.fullmatch(key.rpartition(".")[2])))
            except ValueError as error:
                parser.error(f"{option_string}: '{option}' {error}")
        setattr(namespace, self.dest, options)


def parse_value(text: str, is_path: bool = False) -> Any:
    """Return the value of an option: a number, bool, None, text, or a list or tuple of values.

    MMEngine's syntax, but blanks within a text are kept.

    Args:
        text: such as ``"[1, a b]"``.
        is_path: keep numbers and commas outside of brackets as text, and expand ``~``.

    Raises:
        ValueError: brackets are not balanced, or the value is a dict.
    """
    text = text.strip().strip("'\"").strip()
    if _DICT.fullmatch(text):
        raise ValueError(
            "is a dict: give its entries one by one, such as model.backbone.arch.depths='[2,2]', or"
            " write it in a config file with _base_"
        )
    inner = _inner_values(text)
    if inner is not None:
        values = [parse_value(part, is_path) for part in inner]
        return tuple(values) if text.startswith("(") else values
    if not is_path and ("," in text or text[:1] in _CLOSING):
        parts = _split(text)
        if parts != [text]:
            return [parse_value(part) for part in parts]
    value = DictAction._parse_int_float_bool(text)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return os.path.expanduser(text) if is_path and (is_number or value == text) else value


def _inner_values(text: str) -> list[str] | None:
    """Return the values within the brackets around a text, None if there are none around it."""
    if text[:1] in _CLOSING and text.endswith(_CLOSING[text[0]]):
        with suppress(ValueError):  # brackets of two lists, as in (1,2),(3,4)
            return _split(text[1:-1])
    return None


def _split(text: str) -> list[str]:
    """Split a text at its commas outside of brackets; a last comma may follow the last part.

    Raises:
        ValueError: brackets are not balanced.
    """
    expected: list[str] = []
    parts = [""]
    for char in text:
        if char in _CLOSING:
            expected.append(_CLOSING[char])
        is_closing = char in _CLOSING.values()
        if is_closing and (not expected or expected.pop() != char):
            break
        if char == "," and not expected:
            parts.append("")
        else:
            parts[-1] += char
    else:
        if not expected:
            return parts if parts[-1].strip() else parts[:-1]
    raise ValueError("has unbalanced brackets: close each ( and [, such as key='[(1,2),3]'")


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options`` to the parser of a tool."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        default={},
        metavar="KEY=VALUE",
        help="override entries of the config; lists as key='[a,b]'",
    )

"""Words of a command line, with home folders."""

import os
import re
import sys
from collections.abc import Sequence

_WORD = re.compile(r"(--[a-zA-Z_-]+=)?(~.*)", re.DOTALL)


def command_words(words: Sequence[str] | None = None) -> list[str]:
    """Return the words of a command line with ``~`` expanded, also after the ``=`` of an option.

    Shells expand it only at the beginning of a word. Values of ``--cfg-options`` are expanded by
    :func:`parse_value`.

    Args:
        words: command line without the program, by default that of the process.
    """
    return [_expand(word) for word in (sys.argv[1:] if words is None else words)]


def _expand(word: str) -> str:
    found = _WORD.fullmatch(word)
    return f"{found[1] or ''}{os.path.expanduser(found[2])}" if found else word

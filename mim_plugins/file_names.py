"""File names of any bytes in messages and in lists.

A file name may contain any bytes but ``/`` and NUL. Python represents bytes that are not UTF-8 by
surrogates, which text files and terminals do not accept.
"""

import codecs
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

_BOMS = {  # UTF-32 first, because its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# not str.splitlines(), which also splits at characters of names, such as U+0085
_LINE_END = re.compile(r"\r\n|\n|\r")


def printable(name: str | os.PathLike) -> str:
    r"""Return a name as one line that any terminal, log or text file accepts.

    Line breaks, other unprintable characters, and bytes that are not UTF-8 become escapes such as
    ``\n`` and ``\xff``.
    """
    return "".join(map(_printable_character, os.fspath(name)))


def _printable_character(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def quote_name(name: str) -> str:
    """Return a name in the form for a list with one name per line.

    A name with a line break, with leading or trailing blanks or with a leading quotation mark
    becomes a JSON string. :func:`unquote_name` is the inverse.
    """
    is_line = name == name.strip() and not name.startswith('"') and not _LINE_END.search(name)
    return name if is_line else json.dumps(name, ensure_ascii=False)


def unquote_name(text: str) -> str:
    """Return the name that :func:`quote_name` wrote as ``text``."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return json.loads(text)
    except ValueError:  # a name that begins and ends with a quotation mark
        return text


def read_lines(file: str | os.PathLike) -> list[str]:
    """Return the stripped lines of a text file, without empty ones.

    The encoding is that of the byte order mark. Without a mark, it is UTF-16 if the file contains
    NUL bytes and UTF-8 otherwise; other bytes are kept as surrogates, as in Python's file names.
    Lines may end as on Unix, Windows or classic Mac OS.

    Raises:
        ValueError: the file is not a text file, or not a regular file.
    """
    if Path(file).exists() and not Path(file).is_file():  # a pipe would wait forever
        raise ValueError(f"'{printable(file)}' is no text file, but a folder, pipe or device")
    data = Path(file).read_bytes()
    marked = (name for mark, name in _BOMS.items() if data.startswith(mark))
    encoding = next(marked, None) or _guess_encoding(data)
    errors = "strict" if encoding.startswith("utf-16") else "surrogateescape"
    try:
        text = data.decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise ValueError(f"'{printable(file)}' is not a text file: {error}") from error
    if "\0" in text:
        raise ValueError(
            f"'{printable(file)}' is not a text file: it contains NUL bytes; expected one image per"
            " line, in UTF-8 or UTF-16"
        )
    # a file that was appended to another has its mark in the middle
    lines = (line.strip().lstrip("\ufeff").lstrip() for line in _LINE_END.split(text))
    return [line for line in lines if line]


def _guess_encoding(data: bytes) -> str:
    if b"\0" not in data:
        return "utf-8"
    # in little-endian text, the NUL byte of an ASCII character (a line end at least) is the second;
    # few other characters contain one, so most of them decide
    second = data[1::2].count(0)
    return "utf-16-le" if 2 * second > data.count(0) else "utf-16-be"


def write_lines(file: str | os.PathLike, lines: Iterable[str]) -> None:
    """Write a text file in UTF-8; bytes of file names that are not UTF-8 are written unchanged."""
    text = "".join(f"{line}\n" for line in lines)
    Path(file).write_bytes(text.encode("utf-8", "surrogateescape"))

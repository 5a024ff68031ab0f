"""Lists of images: text files of one path per line, with or without a label after it."""

import os
import re
from pathlib import Path

from ..archives import HUB, archive_format, image_exists, is_url, join_address, split_address
from ..file_names import printable, read_lines, unquote_name
from .image_files import BAND_SUFFIXES

_SUFFIX = "|".join(map(re.escape, BAND_SUFFIXES))
# name up to the last suffix that is followed by blanks and more text
_NAME_AND_MORE = re.compile(rf"(.*(?:{_SUFFIX}))\s+\S.*", re.IGNORECASE)
_QUOTED_AND_MORE = re.compile(r'("(?:[^"\\]|\\.)*")\s+\S.*')


def read_image_list(file: str | Path, folder: str | Path) -> list[str]:
    """Return the paths of the images that ``file`` lists, one per line, relative to ``folder``.

    The folder may be an archive; the lines are then names of its members.

    A label after the path is ignored. Names may contain blanks: they end with the last suffix of an
    image. Lines without such a suffix are complete names if the first one exists. See
    :func:`read_lines` for encodings.

    Raises:
        ValueError: the file is no text.
    """
    return paths_in(folder, _names(read_lines(file), folder))


def paths_in(folder: str | Path, names: list[str]) -> list[str]:
    """Return the paths of files in a folder, or the addresses of members of an archive.

    URLs and addresses of other archives stay as they are.
    """
    root = os.fspath(folder)
    if not archive_format(root):
        return [
            name if is_url(name) or name.startswith(HUB) else os.path.join(root, name)
            for name in names
        ]
    return [
        name if is_url(name) or split_address(name) else join_address(root, name) for name in names
    ]


def read_labeled_list(file: str | Path, classes: int | None = None) -> list[tuple[str, int]]:
    """Return names and labels of a list of lines ``NAME LABEL``.

    Args:
        file: the list; see :func:`read_lines` for its encodings.
        classes: labels must be below this number; None allows any from 0.

    Raises:
        ValueError: the file is no text, or a line has another form.
    """
    entries = []
    for line in read_lines(file):
        name, _, label = line.replace("\t", " ").rpartition(" ")
        valid = name and label.isdecimal() and (classes is None or int(label) < classes)
        if not valid:
            labels = "from 0" if classes is None else f"from 0 to {classes - 1}"
            raise ValueError(
                f"'{printable(file)}' has the line '{printable(line)}'; expected a file name, a"
                f" blank and a label {labels}"
            )
        entries.append((unquote_name(line[: len(name)].rstrip()), int(label)))
    return entries


def _names(lines: list[str], folder: str | Path) -> list[str]:
    """Return the paths in lines, without the labels that may follow them."""
    found = [(line, *_name_and_kind(line)) for line in lines]
    unknown = next(
        (
            line
            for line, name, is_known in found
            if not is_known and name != line and not is_url(line)  # URLs contain no blanks
        ),
        None,
    )
    # blanks in names without a known suffix; all lines of a list have labels, or none
    if unknown is None or not image_exists(paths_in(folder, [unknown])[0]):
        return [name for _, name, _ in found]
    return [name if is_known or is_url(line) else line for line, name, is_known in found]


def _name_and_kind(line: str) -> tuple[str, bool]:
    """Return the path in a line without its label, and False if the end of the path is unknown."""
    quoted = _QUOTED_AND_MORE.fullmatch(line)
    if quoted or line.startswith('"'):
        return unquote_name(quoted[1] if quoted else line), True
    if line.lower().endswith(BAND_SUFFIXES):
        return line, True
    found = _NAME_AND_MORE.fullmatch(line)
    return (found[1], True) if found else (line.rsplit(maxsplit=1)[0], False)

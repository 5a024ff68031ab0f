"""Labels in a column of a table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArchiveError
from ..file_names import printable

LABEL_COLUMNS = ("label", "labels", "fine_label", "cls")


class StoredLabels(NamedTuple):
    """Labels of all rows of an archive."""

    numbers: np.ndarray
    """(N,), -1 for a missing label."""
    classes: tuple[str, ...] | None
    """Names of the classes, if there are any."""
    is_text: bool = False
    """The column contains names, which are numbered in sorted order."""


def encode_labels(
    path: str, column: str, values: Sequence[Any], classes: Sequence[str] | None
) -> StoredLabels:
    """Return the labels of a column of numbers or names.

    Args:
        path: archive, for the message.
        column: column, for the message.
        values: its values; None is a missing label.
        classes: names of the numbers, if known.

    Raises:
        ArchiveError: a value is neither a whole number, a name nor None.
    """
    if any(isinstance(value, str) for value in values):
        names = sorted({value for value in values if isinstance(value, str)})
        number_of = {name: number for number, name in enumerate(names)}
    else:
        names, number_of = [], {}
    try:
        numbers = [
            -1 if each is None else number_of[each] if names else int(each) for each in values
        ]
        if not names and any(
            value is not None and value != n for value, n in zip(values, numbers, strict=True)
        ):
            raise ValueError("not whole")
        encoded = np.array(numbers, np.int64)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ArchiveError(
            f"'{printable(path)}': column '{printable(column)}' must contain one number or name per"
            " image"
        ) from error
    if names:
        return StoredLabels(encoded, tuple(names), is_text=True)
    return StoredLabels(encoded, tuple(classes) if classes else None)


def with_common_classes(labels: Sequence[StoredLabels]) -> list[StoredLabels]:
    """Return labels that number the names of all archives together, and numbers as they are.

    Archives without any label get the names of the others.
    """
    known = [each for each in labels if (each.numbers >= 0).any()]
    if known and all(each.is_text for each in known):
        names = sorted({name for each in known for name in each.classes or ()})
        return [_renumbered(each, tuple(names)) for each in labels]
    classes = known[0].classes if known else None
    return [
        each if (each.numbers >= 0).any() else each._replace(classes=classes) for each in labels
    ]


def _renumbered(labels: StoredLabels, names: tuple[str, ...]) -> StoredLabels:
    number_of = {name: number for number, name in enumerate(names)}
    own = labels.classes if labels.is_text else None
    new = np.array([*(number_of[name] for name in own or ()), -1], np.int64)  # -1 is the last
    return StoredLabels(new[labels.numbers], names, is_text=True)

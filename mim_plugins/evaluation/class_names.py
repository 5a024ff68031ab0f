"""Names of a data set's classes, in the order of its labels, and their comparison."""

from typing import Any

FOLDERS = "class folders"
CLASSES = "classes"
_LISTED = 3


def class_names(dataset: Any) -> dict[str, tuple[str, ...]]:
    """Return what names the labels of an unwrapped data set, by kind: folders or class names.

    Folders that are numbered in alphabetical order decide what a label stands for even where the
    data set has class names of its own, as ImageNet has.
    """
    names = {}
    folders = getattr(dataset, "folder_to_idx", None)
    if folders:
        names[FOLDERS] = tuple(sorted(folders, key=folders.__getitem__))
    classes = (getattr(dataset, "metainfo", None) or {}).get("classes")
    if classes is not None and not isinstance(classes, str):
        names[CLASSES] = tuple(map(str, classes))
    return names


def class_difference(
    expected: dict[str, tuple[str, ...]], found: dict[str, tuple[str, ...]]
) -> str | None:
    """Return the first difference of two results of :func:`class_names`, None if they agree.

    Kinds that only one of them has are not compared, nor are numbers with as many names:
    iNaturalist's classes are the numbers of its categories where their names are not at hand.
    """
    for kind in expected:
        first, second = expected[kind], found.get(kind, expected[kind])
        numbered = len(first) == len(second) and _are_numbers(first) != _are_numbers(second)
        if first != second and not numbered:
            return _describe(kind, first, second)
    return None


def _are_numbers(names: tuple[str, ...]) -> bool:
    return all(name.isdecimal() for name in names)


def _describe(kind: str, expected: tuple[str, ...], found: tuple[str, ...]) -> str:
    missing, extra = set(expected) - set(found), set(found) - set(expected)
    parts = [f"without {_some(missing)}"] if missing else []
    parts += [f"with {_some(extra)} besides"] if extra else []
    if not parts:
        pairs = enumerate(zip(expected, found, strict=False))
        moved = next((f"{label} is {b!r}, not {a!r}" for label, (a, b) in pairs if a != b), "")
        parts = [f"in another order: label {moved}" if moved else "some of them twice"]
    return f"{len(found)} {kind} in place of {len(expected)}, {' and '.join(parts)}"


def _some(names: set[str]) -> str:
    listed = ", ".join(map(repr, sorted(names)[:_LISTED]))
    return listed + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")

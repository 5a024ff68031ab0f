"""Checks that ``--data-root`` moves everything that a config reads."""

import os
from pathlib import Path
from typing import Any

from ..config import type_name
from ..errors import ConfigError
from ..file_names import printable, read_lines, unquote_name

_NO_LISTS = (".json", ".pkl", ".csv")


def check_new_root(data_root: Any) -> None:
    """Check that a value of ``--data-root`` is one folder name."""
    if not isinstance(data_root, str) or not data_root:
        shown = "''" if data_root == "" else repr(data_root)
        raise ConfigError(
            f"--data-root {shown}: must be one folder. To read several, define one data set per"
            " folder in the config, in a ConcatDataset (docs/data.md)"
        )
    try:
        data_root.encode()
    except UnicodeEncodeError:
        # the config of the run is written to a UTF-8 file
        raise ConfigError(
            f"--data-root '{printable(data_root)}': the folder's name is not UTF-8; rename it, or"
            " use a link to it (ln -s)"
        ) from None


def check_one_root(parts: dict[str, list[dict]], data_root: str) -> None:
    """Check that all data sets, given by config field, have the same folder."""
    roots: dict[str, str] = {}
    fields: dict[str, list[str]] = {}
    for field, datasets in parts.items():
        for dataset in datasets:
            root = dataset.get("data_root")
            if isinstance(root, (str, os.PathLike)) and os.fspath(root):
                real = os.path.realpath(os.path.expanduser(root))
                roots.setdefault(real, os.fspath(root))
                fields.setdefault(real, []).append(field)
    if len(roots) < 2:
        return
    readers = list(dict.fromkeys(field for found in fields.values() for field in found))
    verb = "reads" if len(readers) == 1 else "read"
    names = ", ".join(f"'{printable(root)}'" for root in roots.values())
    field = next(reversed(fields.values()))[0]
    number = ".datasets.0" if len(parts[field]) > 1 else ""
    place = f"{field}.dataset" if field.endswith("_dataloader") else field
    raise ConfigError(
        f"--data-root '{data_root}': {' and '.join(readers)} {verb} {len(roots)} folders ({names}),"
        " which one folder cannot replace. Omit --data-root and set each data_root in the config,"
        f" or use --cfg-options {place}{number}.data_root=FOLDER and so on; train and val folders"
        " inside one folder may share data_root and differ in data_prefix"
    )


def check_prefixes(field: str, datasets: list[dict], data_root: str) -> None:
    """Check that the data prefixes of data sets stay inside the data root."""
    real_root = os.path.realpath(os.path.expanduser(data_root))
    for dataset in datasets:
        prefix = dataset.get("data_prefix")
        folders = prefix if isinstance(prefix, dict) else {"": prefix}
        for key, folder in folders.items():
            if not isinstance(folder, (str, os.PathLike)):
                continue
            real = os.path.realpath(os.path.join(real_root, os.path.expanduser(folder)))
            is_relative = not os.path.isabs(os.path.expanduser(folder))
            if os.path.commonpath([real_root, real]) == real_root:
                continue
            if is_relative and os.pardir not in Path(folder).parts:
                continue  # a link inside the new root
            name = f"data_prefix.{key}" if key else "data_prefix"
            raise ConfigError(
                f"--data-root '{data_root}' has no effect on {field}: {name}="
                f"'{printable(folder)}' of its {type_name(dataset.get('type'))} is a folder outside"
                f" of it. Make {name} relative to data_root in the config or with --cfg-options,"
                " or omit --data-root"
            )


def check_lists(field: str, datasets: list[dict], data_root: str) -> None:
    """Check that the lists of data sets with the new root name no images outside of it."""
    root = os.path.abspath(os.path.expanduser(data_root))
    for dataset in datasets:
        file = dataset.get("ann_file")
        if not isinstance(file, (str, os.PathLike)) or not os.fspath(file):
            continue
        path = Path(root, os.path.expanduser(file))
        if path.suffix in _NO_LISTS or not path.is_file():
            continue
        outside = _first_outside(path, root)
        if outside is not None:
            raise ConfigError(
                f"--data-root '{data_root}' has no effect on {field}: its list"
                f" '{printable(file)}' names '{printable(outside)}', which is outside of it. Make"
                " the paths in the list relative, or omit --data-root"
            )


def _first_outside(file: Path, root: str) -> str | None:
    try:
        lines = read_lines(file)
    except (OSError, ValueError):  # no list; the data set reports it
        return None
    for line in lines:
        name = unquote_name(line).lstrip('"')
        if name.startswith(os.sep) or os.pardir in name:
            path = os.path.normpath(os.path.join(root, name))
            if os.path.commonpath([root, path]) != root:
                return name
    return None

"""Data folders of a config: replacement by ``--data-root`` and checks."""

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config import type_name
from ..datasets.archive_places import describe_unread, is_archive_place
from ..datasets.drop_ins import READ_ARCHIVES, read_regular_files, use_drop_in
from ..datasets.folder_layouts import describe_layout
from ..datasets.single_paths import check_single_paths
from ..errors import ConfigError, DataNotFoundError
from ..file_names import printable
from .data_root_checks import check_lists, check_new_root, check_one_root, check_prefixes
from .dataset_configs import (
    LOADERS,
    dataset_configs,
    evaluator_configs,
    hook_dataset_configs,
)

_PATHS = ("data_root", "data_prefix", "ann_file")


def apply_data_root(cfg: Config, data_root: str | None) -> None:
    """Set ``data_root`` in all data sets of ``cfg`` and its hooks; None changes nothing.

    Annotation files of data sets and evaluators inside the old folder are moved along (COCO).

    Raises:
        ConfigError: ``data_root`` is not a folder name, the config reads several folders, which
            one folder cannot replace, or the ``data_prefix`` or list of a data set leaves the root.
    """
    if data_root is None:
        return
    check_new_root(data_root)
    loaders = {loader: dataset_configs(cfg, (loader,)) for loader in LOADERS}
    # the default data sets of hooks have the root of the training set
    of_hooks = {
        field: [each for each in parts if "data_root" in each]
        for field, parts in hook_dataset_configs(cfg).items()
    }
    parts = loaders | of_hooks
    check_one_root(parts, data_root)
    for field, datasets in parts.items():
        check_prefixes(field, datasets, data_root)
    everything = [dataset for datasets in parts.values() for dataset in datasets]
    given = [dataset.get("data_root") for dataset in everything]
    roots = {os.fspath(root) for root in given if root and isinstance(root, (str, os.PathLike))}
    for dataset in everything:
        dataset["data_root"] = data_root
    for reader in (*everything, *evaluator_configs(cfg)):
        _move_annotations(reader, roots, data_root)
    for field, datasets in parts.items():
        check_lists(field, datasets, data_root)


def _move_annotations(reader: dict, roots: set[str], data_root: str) -> None:
    """Replace the root of an annotation file inside one of the old roots."""
    file = reader.get("ann_file")
    if not isinstance(file, (str, os.PathLike)):
        return
    file, in_root = os.path.expanduser(file), "data_root" in reader
    if in_root and not os.path.isabs(file):
        return  # relative to the root
    for root in map(os.path.expanduser, roots):
        inside = os.path.relpath(file, root)
        if os.pardir not in Path(inside).parts:
            reader["ann_file"] = inside if in_root else os.path.join(data_root, inside)
            return


def check_data_folders(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> None:
    """Check that the data roots exist before anything is built.

    Raises:
        DataNotFoundError: a folder does not exist.
        ConfigError: a data set that reads one folder has several, or a wrapper has no data set.
    """
    for loader in loaders:
        if isinstance(cfg.get(loader), dict):
            _check_wrappers(f"{loader}.dataset", cfg[loader].get("dataset"))
    for dataset in dataset_configs(cfg, loaders):
        name = type_name(dataset.get("type"))
        try:
            check_single_paths(name, **{key: dataset[key] for key in _PATHS if key in dataset})
        except ValueError as error:
            raise ConfigError(str(error)) from error
        root = dataset.get("data_root")
        if root:
            _check_root(os.path.expanduser(root), name)
        missing = _missing_ade20k_folder(dataset)
        if missing:
            raise DataNotFoundError(
                f"there is no folder '{missing}' for {name}. {describe_layout(name)}"
            )


def _check_root(root: str, name: str) -> None:
    if os.path.isdir(root) or (name in READ_ARCHIVES and is_archive_place(root)):
        return
    if os.path.exists(root) and name in READ_ARCHIVES:
        raise DataNotFoundError(f"data_root='{printable(root)}' {describe_unread(root)}")
    raise DataNotFoundError(
        f"there is no data folder '{printable(root)}' for {name}; set the folder of the"
        f" data set with --data-root. {describe_layout(name)}"
    )


def _check_wrappers(field: str, dataset: Any) -> None:
    """Check that a data set is one, and that those inside of wrappers are lists of data sets."""
    if isinstance(dataset, (list, tuple)):
        raise ConfigError(
            f"{field} is a list of {len(dataset)}; use one data set, such as"
            " dict(type='ConcatDataset', datasets=[...])"
        )
    if not isinstance(dataset, dict):
        return  # a built data set, or nothing, which MMEngine reports
    if "dataset" in dataset:
        _check_wrappers(f"{field}.dataset", dataset["dataset"])
    if "datasets" in dataset:
        parts = dataset["datasets"]
        if not isinstance(parts, (list, tuple)) or not parts:
            raise ConfigError(
                f"{field}.datasets is {'empty' if parts in ([], ()) else type(parts).__name__}; it"
                " must be a list of data sets"
            )
        for index, part in enumerate(parts):
            _check_wrappers(f"{field}.datasets.{index}", part)


def use_drop_ins(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> str | None:
    """Use this package's data set classes, see :func:`use_drop_in`; return a message if any."""
    scope = cfg.get("default_scope")
    changes = {use_drop_in(dataset, scope) for dataset in dataset_configs(cfg, loaders)} - {None}
    for dataset in dataset_configs(cfg, loaders):
        read_regular_files(dataset)
    names = ", ".join(sorted(map(str, changes)))
    return f"for safe reading of folders (docs/data.md): {names}" if changes else None


def _missing_ade20k_folder(dataset: dict) -> Path | None:
    """Return the first missing folder of an ADE20K data set; MMSegmentation reports none."""
    if "ADE20K" not in type_name(dataset.get("type")):
        return None
    root = Path(dataset.get("data_root") or "").expanduser()
    folders = (root / prefix for prefix in dataset.get("data_prefix", {}).values())
    return next((folder for folder in folders if not folder.is_dir()), None)

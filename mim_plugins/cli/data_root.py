"""Data folders of a config: replacement by ``--data-root`` and checks."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config import type_name
from ..datasets.drop_ins import read_regular_files, use_drop_in
from ..datasets.folder_layouts import describe_layout
from ..datasets.single_paths import check_single_paths
from ..datasets.wrappers import base_dataset_configs
from ..errors import ConfigError, DataNotFoundError
from ..file_names import printable

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_PATHS = ("data_root", "data_prefix", "ann_file")


def apply_data_root(cfg: Config, data_root: str | None) -> None:
    """Set ``data_root`` in all data sets of ``cfg``; None changes nothing.

    Annotation files of evaluators inside the old folder are moved along (COCO).

    Raises:
        ConfigError: ``data_root`` is not a folder name, a loader reads several folders, which one
            folder cannot replace, or the ``data_prefix`` of a data set leaves the root.
    """
    if data_root is None:
        return
    _check_data_root(data_root)
    for loader in LOADERS:
        _check_one_root(cfg, loader, data_root)
        _check_prefixes_below(cfg, loader, data_root)
    given = [dataset.get("data_root") for dataset in dataset_configs(cfg)]
    roots = {root for root in given if root and isinstance(root, (str, os.PathLike))}
    for dataset in dataset_configs(cfg):
        dataset["data_root"] = data_root
    for evaluator in _evaluators(cfg):
        file = evaluator.get("ann_file")
        for root in roots:
            if isinstance(file, str) and Path(file).is_relative_to(root):
                evaluator["ann_file"] = str(Path(data_root) / Path(file).relative_to(root))


def _check_data_root(data_root: Any) -> None:
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


def _check_one_root(cfg: Config, loader: str, data_root: str) -> None:
    """Check that the data sets of a loader have a single folder."""
    roots = {}
    for dataset in dataset_configs(cfg, (loader,)):
        root = dataset.get("data_root")
        if isinstance(root, (str, os.PathLike)) and os.fspath(root):
            roots[os.path.realpath(os.path.expanduser(root))] = os.fspath(root)
    if len(roots) > 1:
        names = ", ".join(f"'{printable(root)}'" for root in roots.values())
        raise ConfigError(
            f"--data-root '{data_root}': {loader} reads {len(roots)} folders ({names}), which"
            " one folder cannot replace. Omit --data-root and set data_root of each part of the"
            " ConcatDataset in the config, or use --cfg-options"
            f" {loader}.dataset.datasets.0.data_root=FOLDER and so on"
        )


def _check_prefixes_below(cfg: Config, loader: str, data_root: str) -> None:
    """Check that the data prefixes of a loader's data sets stay inside the data root."""
    real_root = os.path.realpath(os.path.expanduser(data_root))
    for dataset in dataset_configs(cfg, (loader,)):
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
            field = f"data_prefix.{key}" if key else "data_prefix"
            raise ConfigError(
                f"--data-root '{data_root}' has no effect on {loader}: {field}="
                f"'{printable(folder)}' of its {type_name(dataset.get('type'))} is a folder outside"
                f" of it. Make {field} relative to data_root in the config or with --cfg-options,"
                " or omit --data-root"
            )


def check_data_folders(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> None:
    """Check that the data roots exist before anything is built.

    Raises:
        DataNotFoundError: a folder does not exist.
        ConfigError: a data set that reads one folder has several.
    """
    for dataset in dataset_configs(cfg, loaders):
        name = type_name(dataset.get("type"))
        try:
            check_single_paths(name, **{key: dataset[key] for key in _PATHS if key in dataset})
        except ValueError as error:
            raise ConfigError(str(error)) from error
        root = dataset.get("data_root")
        if root and not Path(root).expanduser().is_dir():
            raise DataNotFoundError(
                f"there is no data folder '{printable(root)}' for {name}; set the folder of the"
                f" data set with --data-root. {describe_layout(name)}"
            )
        missing = _missing_ade20k_folder(dataset)
        if missing:
            raise DataNotFoundError(
                f"there is no folder '{missing}' for {name}. {describe_layout(name)}"
            )


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


def _evaluators(cfg: Config) -> Iterator[dict]:
    """Yield the metrics of validation and test, each a single one or a list."""
    for name in ("val_evaluator", "test_evaluator"):
        given = cfg.get(name) or []
        yield from given if isinstance(given, (list, tuple)) else [given]


def dataset_configs(cfg: Config, loaders: tuple[str, ...] = LOADERS) -> list[dict]:
    """Return the data set configs of the loaders, including those inside wrappers."""
    found = []
    for name in loaders:
        if cfg.get(name):
            found += base_dataset_configs(cfg[name].get("dataset"))
    return found

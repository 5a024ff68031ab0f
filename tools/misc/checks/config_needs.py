"""Checks of the data, weights and teachers that a config needs."""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from checks.packages import FAIL, OK, WARN, Result, first_line, import_error


def check_folder(data_root: str) -> Iterator[Result]:
    folder = Path(data_root).expanduser()
    if not folder.is_dir() and _is_archive(data_root):
        yield Result(OK, f"archive '{data_root}'")
    elif not folder.is_dir():
        yield Result(FAIL, f"there is no data folder '{data_root}': give it with --data-root")
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield Result(FAIL, f"the data folder '{data_root}' cannot be read: check its permissions")
    elif not any(folder.iterdir()):
        yield Result(FAIL, f"the data folder '{data_root}' is empty")
    else:
        yield Result(OK, f"data folder '{data_root}'")


def _is_archive(data_root: str) -> bool:
    try:
        from mim_plugins.datasets.archive_places import is_archive_place
    except ImportError:  # a missing package has a line in the report
        return False
    return is_archive_place(data_root)


def check_config(name: str, data_root: str | None, options: Sequence[str] = ()) -> Iterator[Result]:
    """Check the data, weights and teachers of a config."""
    try:
        from mmengine.config import Config

        from mim_plugins.apis import find_config, override_config
        from mim_plugins.cli import add_config_options, missing_packages_hint, run_config
        from mim_plugins.config import use_text_paths
        from mim_plugins.errors import ConfigError
    except Exception as error:  # a missing package has a line above
        reason = first_line(error)
        yield Result(FAIL, f"mim_plugins does not import: {reason}; fix the errors above first")
        return
    try:
        cfg = use_text_paths(Config.fromfile(find_config(name)))
        if options:
            parser = argparse.ArgumentParser()
            add_config_options(parser)  # parses MMEngine's syntax of values
            given = dict(parser.parse_args(["--cfg-options", *options]).cfg_options)
            data_root = data_root or given.pop("data_root", None)
            override_config(cfg, given)
        run_config.check_known_arguments(cfg)
    except Exception as error:  # a config is a program and may raise any exception
        reason = first_line(error)
        remedy = missing_packages_hint(reason)
        yield Result(FAIL, f"config '{name}' cannot be read: {reason}{remedy}")
        return
    yield Result(OK, f"config '{name}'")
    scope = cfg.get("default_scope")
    broken = scope in ("mmdet", "mmseg") and (import_error("mmcv.ops") or import_error(scope))
    if broken:
        yield Result(FAIL, f"{broken}{missing_packages_hint(broken)}")
    try:
        run_config.apply_data_root(cfg, data_root)
        run_config.check_data_folders(cfg)
        yield Result(OK, "all data folders exist")
    except (FileNotFoundError, ConfigError) as error:
        yield Result(FAIL, first_line(error))
    else:
        yield from check_agreement(cfg) if not broken else ()
    init = cfg.model.get("backbone", {}).get("init_cfg")
    file = init.get("checkpoint") if isinstance(init, dict) else None
    if file and "://" not in file and not Path(file).expanduser().is_file():
        yield Result(
            FAIL,
            f"there are no pre-trained weights '{file}': pre-train first, or --cfg-options"
            " model.backbone.init_cfg.checkpoint=FILE",
        )
    elif file:
        yield Result(OK, f"pre-trained weights '{file}'")
    for mimic, settings in (cfg.model.get("mimics") or {}).items():
        if settings is None:  # removed from a base config
            continue
        yield check_teacher(mimic, settings.target_generator)


def check_agreement(cfg: Any) -> Iterator[Result]:
    """Check that data sets, model and metrics of a config agree."""
    from mmengine.logging import MMLogger

    from mim_plugins.checks import consistency

    MMLogger.get_current_instance().setLevel("ERROR")  # silences messages of the builders
    try:
        warnings = consistency.check_config(cfg)
    except Exception as error:  # a config may build objects of any package
        yield Result(FAIL, f"data and model: {first_line(error)}")
        return
    yield from (Result(WARN, warning) for warning in warnings)
    if not warnings:
        yield Result(OK, "data sets, model and metrics agree")


def check_teacher(name: str, target: Any) -> Result:
    """Check that a teacher can be built from its file, the cache or the hub."""
    from mim_plugins.registry import MODELS

    try:
        teacher = MODELS.build(target)
    except Exception as error:  # libraries, files and the hub raise different exceptions
        option = f"--cfg-options model.mimics.{name}.target_generator.pretrained=FILE"
        return Result(FAIL, f"teacher '{name}': {first_line(error)}; {option}")
    return Result(
        OK, f"teacher '{name}': {type(teacher).__name__}, {teacher.out_channels} channels"
    )

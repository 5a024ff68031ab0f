"""Config of a run from the command line of ``train.py`` and ``test.py``."""

import argparse
import numbers
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..apis import override_config
from ..apis import read_config as read_config_file
from ..config import misspelled_argument, misspelled_entry, wrong_choice
from ..errors import ConfigError
from ..wording import counted
from .data_root import apply_data_root
from .data_root import check_data_folders as check_data_folders
from .data_root import use_drop_ins as use_drop_ins
from .global_batch import PROCESSES_VARIABLE
from .process_group import set_rank_from_launcher


def read_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the common arguments.

    Raises:
        FileNotFoundError: the config does not exist.
        ConfigError: the config or an option is invalid, a path is not a text, or no launcher has
            started this process.
    """
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    set_rank_from_launcher(args.launcher)
    options = dict(args.cfg_options)
    if "launcher" in options:
        raise ConfigError("option 'launcher' has no effect: use --launcher")
    data_root = options.pop("data_root", None) if args.data_root is None else args.data_root
    cfg = read_config_file(args.config)
    apply_data_root(cfg, data_root)
    override_config(cfg, options)
    cfg.launcher = args.launcher
    _require_launcher(args.launcher)
    check_known_arguments(cfg)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = os.path.join("work_dirs", Path(args.config).stem)
    for name in ("work_dir", "load_from"):
        if cfg.get(name) is not None:
            cfg[name] = _expand_home(name, cfg[name])
    return cfg


def _expand_home(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{name}={value!r} must be a path: write it as text, such as 'runs/1'")
    return os.path.expanduser(value)


def _require_launcher(launcher: str) -> None:
    variable = PROCESSES_VARIABLE[launcher]
    if variable and variable not in os.environ:
        raise ConfigError(
            f"--launcher {launcher}: {variable} is not set, so no launcher has started the"
            " processes; use tools/dist_train.sh, tools/slurm_train.sh or mpirun, or omit"
            " --launcher"
        )


def check_known_arguments(cfg: Config) -> None:
    """Check the names of entries and the arguments of loaders, loops, optimizer and hooks.

    Raises:
        ConfigError: a name is similar to an entry that is read, a class does not accept an argument
            of its dict, or a value is not one of the names allowed.
    """
    problem = misspelled_entry(cfg) or misspelled_argument(cfg) or wrong_choice(cfg)
    if problem is not None:
        raise ConfigError(f"{problem} (config '{cfg.filename}')")


def trim_schedule(cfg: Config) -> str | None:
    """Remove schedulers that begin after the end of the run; return a message if any.

    MMEngine would otherwise refuse a trial run that is shorter than the warm-up of its recipe.

    Raises:
        ConfigError: the length of the run or of a scheduler is not a whole number.
    """
    lengths = cfg.get("train_cfg") or {}
    if not isinstance(lengths, dict):
        return None
    ends: dict[bool, Any] = {True: lengths.get("max_epochs"), False: lengths.get("max_iters")}
    for name, end in (("max_epochs", ends[True]), ("max_iters", ends[False])):
        _require_count(f"train_cfg.{name}", end)
    schedulers = cfg.get("param_scheduler")
    if not isinstance(schedulers, list):
        return None
    for number, each in enumerate(schedulers):
        if isinstance(each, dict) and "begin" in each:
            _require_count(f"param_scheduler[{number}].begin", each["begin"], optional=False)
    kept = [s for s in schedulers if _begins_before(s, ends)]
    cfg["param_scheduler"] = kept
    if len(kept) == len(schedulers):
        return None
    unit = "epoch" if ends[True] is not None else "iteration"
    length = counted(ends[True] if unit == "epoch" else ends[False], unit)
    return f"the run ends after {length}, within the recipe's warm-up"


def _require_count(name: str, value: object, optional: bool = True) -> None:
    if not (isinstance(value, numbers.Integral) or (optional and value is None)):
        raise ConfigError(f"{name}={value!r} is not a whole number of epochs or iterations")


def _begins_before(scheduler: Any, ends: dict[bool, int | None]) -> bool:
    if not isinstance(scheduler, dict):
        return True  # built by a Python config
    end = ends[bool(scheduler.get("by_epoch", True))]
    return end is None or scheduler.get("begin", 0) < end

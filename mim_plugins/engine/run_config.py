"""Fitting a config to the machine that it runs on, for the command-line tools."""

import argparse
import os
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..apis import ConfigError, change_config
from ..apis import read_config as read_config_file
from ..datasets import DataNotFoundError
from ..transforms import MixImages, choose_partners
from .config_options import add_config_options
from .global_batch import PROCESSES_VARIABLE

_RESUMABLE = dict(
    EpochBasedTrainLoop="mim_plugins.ResumableEpochLoop",
    IterBasedTrainLoop="mim_plugins.ResumableIterLoop",
)
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def command_line(description: str | None) -> argparse.ArgumentParser:
    """The arguments that train.py and test.py have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("config", help="config file, or a name such as mixmae/swin_b_600e")
    parser.add_argument("--work-dir", help="folder for logs and checkpoints")
    parser.add_argument("--data-root", help="folder of the data, in place of the config's")
    add_config_options(parser)
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument(
        "--traceback", action="store_true", help="show where an error comes from, not one line"
    )
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    return parser


def read_config(args: argparse.Namespace) -> Config:
    """The config that the common arguments name, with their choices in it.

    Raises:
        FileNotFoundError: there is no such config.
        ConfigError: it is wrong, an option does not fit it, or no launcher started this process.
    """
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    options = dict(args.cfg_options)
    data_root = args.data_root or options.pop("data_root", None)
    cfg = read_config_file(args.config)
    apply_data_root(cfg, data_root)
    change_config(cfg, options)
    cfg.launcher = args.launcher
    _require_launcher(args.launcher)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = os.path.join("work_dirs", Path(args.config).stem)
    return cfg


def _require_launcher(launcher: str) -> None:
    variable = PROCESSES_VARIABLE[launcher]
    if variable and variable not in os.environ:
        raise ConfigError(
            f"--launcher {launcher}: {variable} is not set, so nothing started the processes; use"
            " tools/dist_train.sh, tools/slurm_train.sh or mpirun, or leave --launcher out"
        )


def apply_data_root(cfg: Config, data_root: str | None) -> None:
    """Read all data sets of ``cfg`` from ``data_root``; None leaves them.

    Annotation files that an evaluator names with the old folder in front follow, as COCO's.
    """
    if data_root is None:
        return
    roots = {dataset["data_root"] for dataset in _datasets(cfg) if dataset.get("data_root")}
    for dataset in _datasets(cfg):
        dataset["data_root"] = data_root
    for evaluator in _evaluators(cfg):
        file = evaluator.get("ann_file")
        for root in roots:
            if isinstance(file, str) and Path(file).is_relative_to(root):
                evaluator["ann_file"] = str(Path(data_root) / Path(file).relative_to(root))


def require_data(cfg: Config, loaders: tuple[str, ...] = _LOADERS) -> None:
    """Check that the data roots exist before anything is built.

    Raises:
        DataNotFoundError: naming the first folder that does not exist.
    """
    for dataset in _datasets(cfg, loaders):
        root = dataset.get("data_root")
        if root and not Path(root).expanduser().is_dir():
            raise DataNotFoundError(
                f"there is no data folder '{root}' for {dataset['type']}; give the data set's"
                f" folder with --data-root. {_layout(dataset['type'])}"
            )
        missing = _missing_ade20k_folder(dataset)
        if missing:
            raise DataNotFoundError(
                f"there is no folder '{missing}' for {dataset['type']}. {_layout(dataset['type'])}"
            )


def _layout(dataset: str) -> str:
    """What the folder of a data set of this type holds."""
    if "Coco" in dataset:
        return (
            "For COCO it holds annotations/instances_train2017.json,"
            " annotations/instances_val2017.json, train2017/ and val2017/"
        )
    if "ADE20K" in dataset:
        return (
            "For ADE20K it holds images/training/, images/validation/, annotations/training/ and"
            " annotations/validation/"
        )
    return (
        "For ImageNet it holds train/CLASS/IMAGE.JPEG and val/CLASS/IMAGE.JPEG; any folder of"
        " images will do for pre-training"
    )


def _missing_ade20k_folder(dataset: dict) -> Path | None:
    """The first of an ADE20K data set's folders that is not there; MMSegmentation names none."""
    if "ADE20K" not in str(dataset["type"]):
        return None
    root = Path(dataset.get("data_root") or "").expanduser()
    folders = (root / prefix for prefix in dataset.get("data_prefix", {}).values())
    return next((folder for folder in folders if not folder.is_dir()), None)


def require_steps(runner: Runner) -> None:
    """Check that an epoch has at least one step; MMEngine's own message does not say why.

    Raises:
        DataNotFoundError: the training set is smaller than one batch, and dropped.
        ValueError: images are to be mixed, and a batch is one image.
    """
    loader = runner.train_dataloader
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if isinstance(getattr(model.data_preprocessor, "batch_transform", None), MixImages):
        choose_partners(loader.batch_size)
    if len(loader) == 0:
        batch = loader.batch_size * get_world_size()
        raise DataNotFoundError(
            f"the training set has {len(loader.dataset)} images, fewer than one batch of {batch}:"
            " no step would be taken. Set train_dataloader.batch_size to a smaller number"
        )


def fit_precision(cfg: Config) -> str | None:
    """Replace a mixed precision that this machine does not have; returns what was done.

    bfloat16 falls back to float16 on GPUs without it, and to float32 where there is no GPU.
    """
    wrapper = cfg.get("optim_wrapper")
    if wrapper is None or wrapper.get("type") != "AmpOptimWrapper":
        return None
    if not torch.cuda.is_available():
        wrapper["type"] = "OptimWrapper"
        wrapper.pop("dtype", None)
        wrapper.pop("loss_scale", None)
        return "no GPU: training in float32 in place of mixed precision"
    # PyTorch would emulate it, slowly, on GPUs before Ampere
    supported = torch.cuda.is_bf16_supported(including_emulation=False)
    if wrapper.get("dtype") == "bfloat16" and not supported:
        wrapper["dtype"] = "float16"
        return "this GPU has no bfloat16: training in float16"
    return None


def fit_schedule(cfg: Config) -> str | None:
    """Leave out schedulers that begin after the run's end; returns what was done.

    A trial run that is shorter than its recipe's warm-up would otherwise be refused by MMEngine.
    """
    schedulers = cfg.get("param_scheduler")
    if not isinstance(schedulers, list):
        return None
    lengths = cfg.get("train_cfg") or {}
    ends = {True: lengths.get("max_epochs"), False: lengths.get("max_iters")}
    kept = [s for s in schedulers if _begins_before(s, ends[s.get("by_epoch", True)])]
    cfg["param_scheduler"] = kept
    if len(kept) == len(schedulers):
        return None
    length = f"{ends[True]} epochs" if ends[True] is not None else f"{ends[False]} iterations"
    return f"the run ends after {length}, within the recipe's warm-up"


def _begins_before(scheduler: dict, end: int | None) -> bool:
    return end is None or scheduler.get("begin", 0) < end


def use_resumable_parts(cfg: Config) -> str | None:
    """Put this package's loop and checkpoint hook where MMEngine's are; returns what was done.

    They take the same arguments, so that any project's config trains a run that survives.
    """
    changes = []
    loop = cfg.get("train_cfg")
    if loop:
        by_epoch = loop.pop("by_epoch", None)
        default = {True: "EpochBasedTrainLoop", False: "IterBasedTrainLoop"}.get(by_epoch)
        named = loop.get("type", default)
        loop["type"] = _RESUMABLE.get(named, named)
        changes += [loop["type"]] if loop["type"] != named else []
    hook = (cfg.get("default_hooks") or {}).get("checkpoint")
    if hook and hook.get("type") == "CheckpointHook":
        hook["type"] = "mim_plugins.AtomicCheckpointHook"
        changes.append(hook["type"])
    return f"for exact resuming (docs/reliability.md): {', '.join(changes)}" if changes else None


def _evaluators(cfg: Config) -> list[dict]:
    """The metrics of validation and test, each of which may be one or a list."""
    found: list[dict] = []
    for name in ("val_evaluator", "test_evaluator"):
        given = cfg.get(name) or []
        found.extend(given if isinstance(given, (list, tuple)) else [given])
    return found


def _datasets(cfg: Config, loaders: tuple[str, ...] = _LOADERS) -> list[dict]:
    """The data sets of the loaders, those inside wrappers such as ``RepeatDataset`` included."""
    found = []
    waiting = [cfg[name].get("dataset") for name in loaders if cfg.get(name)]
    while waiting:
        dataset = waiting.pop()
        if not isinstance(dataset, dict):
            continue
        if "dataset" in dataset or "datasets" in dataset:
            waiting.extend([dataset.get("dataset"), *dataset.get("datasets", [])])
        else:
            found.append(dataset)
    return found

"""Fitting a config to the machine that it runs on, for the command-line tools."""

import argparse
import os
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.dist import get_world_size
from mmengine.runner import Runner

from ..datasets import DataNotFoundError

_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def command_line(description: str | None) -> argparse.ArgumentParser:
    """The arguments that train.py and test.py have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="folder for logs and checkpoints")
    parser.add_argument("--data-root", help="folder of the data, in place of the config's")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        default={},
        help="override entries of the config, as key=value; lists as key='[a,b]'",
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)
    return parser


def read_config(args: argparse.Namespace) -> Config:
    """The config that the common arguments name, with their choices in it."""
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = Config.fromfile(args.config)
    options = dict(args.cfg_options)
    apply_data_root(cfg, args.data_root or options.pop("data_root", None))
    cfg.merge_from_dict(options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = os.path.join("work_dirs", Path(args.config).stem)
    return cfg


def apply_data_root(cfg: Config, data_root: str | None) -> None:
    """Read all data sets of ``cfg`` from ``data_root``; None leaves them."""
    if data_root is None:
        return
    for dataset in _datasets(cfg):
        dataset["data_root"] = data_root


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
                " folder with --data-root. For ImageNet it holds train/CLASS/IMAGE.JPEG and"
                " val/CLASS/IMAGE.JPEG; any folder of images will do for pre-training"
            )


def require_steps(runner: Runner) -> None:
    """Check that an epoch has at least one step; MMEngine's own message does not say why.

    Raises:
        DataNotFoundError: the training set is smaller than one batch, and dropped.
    """
    loader = runner.train_dataloader
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
    if wrapper.get("dtype") == "bfloat16" and not torch.cuda.is_bf16_supported():
        wrapper["dtype"] = "float16"
        return "this GPU has no bfloat16: training in float16"
    return None


def fit_schedule(cfg: Config) -> str | None:
    """Leave out schedulers that begin after the run's last epoch; returns what was done.

    A trial run that is shorter than its recipe's warm-up would otherwise be refused by MMEngine.
    """
    epochs = (cfg.get("train_cfg") or {}).get("max_epochs")
    schedulers = cfg.get("param_scheduler")
    if epochs is None or not isinstance(schedulers, list):
        return None
    kept = [s for s in schedulers if not s.get("by_epoch", True) or s.get("begin", 0) < epochs]
    cfg["param_scheduler"] = kept
    if len(kept) == len(schedulers):
        return None
    return f"the run ends after {epochs} epochs, within the recipe's warm-up"


def use_cpu_processes(cfg: Config) -> None:
    """Let a distributed run use gloo processes where there is no GPU; MMEngine alone cannot."""
    if cfg.get("launcher", "none") != "pytorch" or torch.cuda.is_available():
        return
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo")
    cfg["model_wrapper_cfg"] = dict(
        type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False
    )


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

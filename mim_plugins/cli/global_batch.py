"""Keeping a recipe's global batch and learning rate on any number of GPUs."""

import os

from mmengine.config import Config
from mmengine.runner import Runner

from ..errors import GlobalBatchError

PROCESSES_VARIABLE = {
    "none": None,
    "pytorch": "WORLD_SIZE",
    "slurm": "SLURM_NTASKS",
    "mpi": "OMPI_COMM_WORLD_SIZE",
}


def launched_processes(cfg: Config) -> int:
    """Number of processes that ``cfg.launcher`` started, known before they are connected."""
    variable = PROCESSES_VARIABLE[cfg.get("launcher", "none")]
    return int(os.environ[variable]) if variable else 1


def scale_lr(cfg: Config) -> None:
    """Ask MMEngine to scale the learning rate by this run's global batch over the recipe's.

    Raises:
        GlobalBatchError: the recipe names no global batch.
    """
    _recipe_batch(cfg, "--auto-scale-lr")
    cfg.auto_scale_lr.enable = True


def keep_global_batch(cfg: Config) -> str:
    """Accumulate gradients so that an update sees the recipe's global batch; returns what was done.

    The images per process stay: they are what fits into memory.

    Raises:
        GlobalBatchError: the recipe names no global batch, counts iterations in place of epochs, or
            its batch is no multiple of the images that one iteration of all processes takes.
    """
    recipe = _recipe_batch(cfg, "--keep-global-batch")
    if cfg.train_cfg.get("max_epochs") is None:
        raise GlobalBatchError(
            "--keep-global-batch: this recipe counts iterations, and accumulation would leave it"
            " fewer updates; set optim_wrapper.accumulative_counts, train_cfg.max_iters and the"
            " schedulers' begin and end yourself"
        )
    processes, batch = launched_processes(cfg), cfg.train_dataloader.batch_size
    if recipe % (processes * batch):
        fitting = [n for n in range(1, batch + 1) if recipe % (processes * n) == 0]
        advice = (
            f"set train_dataloader.batch_size to {fitting[-1]}"
            if fitting
            else f"use a number of processes that divides {recipe}"
        )
        raise GlobalBatchError(
            f"--keep-global-batch: the recipe's {recipe} images are no multiple of {processes}"
            f" processes * {batch} images; {advice}"
        )
    counts = recipe // (processes * batch)
    cfg.optim_wrapper.accumulative_counts = counts
    return (
        f"global batch {recipe} kept: {processes} processes * {batch} images * {counts} accumulated"
    )


def _recipe_batch(cfg: Config, option: str) -> int:
    recipe = (cfg.get("auto_scale_lr") or {}).get("base_batch_size")
    if not recipe:
        raise GlobalBatchError(
            f"{option}: the config states no global batch; add"
            " auto_scale_lr=dict(base_batch_size=..., enable=False)"
        )
    return recipe


def too_few_iterations(runner: Runner) -> str | None:
    """What is wrong if an epoch has fewer iterations than are accumulated, or None."""
    counts = (runner.cfg.get("optim_wrapper") or {}).get("accumulative_counts", 1)
    iterations = len(runner.train_dataloader)
    if counts <= iterations:
        return None
    return (
        f"--keep-global-batch accumulates {counts} iterations, but an epoch has {iterations}, so"
        " that whole epochs pass without an update: leave it out and give --auto-scale-lr, or"
        " train on more images"
    )


def scale_lr_with_accumulation(runner: Runner) -> None:
    """Let ``auto_scale_lr`` count accumulated gradients, which MMEngine leaves out of the batch.

    The config stays as it is: the ratio of the two batches is right if MMEngine compares one
    iteration's images with the recipe's batch divided by the accumulated iterations.
    """
    scaling = runner.auto_scale_lr
    counts = (runner.cfg.get("optim_wrapper") or {}).get("accumulative_counts", 1)
    if scaling and scaling.get("enable") and counts > 1:
        runner.auto_scale_lr = dict(scaling, base_batch_size=scaling["base_batch_size"] / counts)

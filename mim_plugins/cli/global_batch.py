"""Global batch size and learning rate of a recipe on any number of GPUs."""

import math
import os

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ..errors import GlobalBatchError
from ..wording import counted

PROCESSES_VARIABLE = {
    "none": None,
    "pytorch": "WORLD_SIZE",
    "slurm": "SLURM_NTASKS",
    "mpi": "OMPI_COMM_WORLD_SIZE",
}


def launched_processes(cfg: Config) -> int:
    """Return the number of processes of ``cfg.launcher``, before the process group exists."""
    variable = PROCESSES_VARIABLE[cfg.get("launcher", "none")]
    return int(os.environ[variable]) if variable else 1


def scale_lr(cfg: Config) -> None:
    """Enable MMEngine's scaling of the learning rate by this run's global batch over the recipe's.

    Raises:
        GlobalBatchError: the recipe does not define its global batch.
    """
    _recipe_batch(cfg, "--auto-scale-lr")
    cfg.auto_scale_lr.enable = True


def keep_global_batch(cfg: Config) -> str:
    """Accumulate gradients to the recipe's global batch and return a message.

    The images per process, which are limited by the memory, do not change.

    Raises:
        GlobalBatchError: the recipe does not define its global batch, is iteration-based, has no
            batch size, or its global batch is not a multiple of the images of one iteration of all
            processes.
    """
    recipe = _recipe_batch(cfg, "--keep-global-batch")
    if cfg.train_cfg.get("max_epochs") is None:
        raise GlobalBatchError(
            "--keep-global-batch: this recipe counts iterations, so accumulation would reduce its"
            " number of updates; set optim_wrapper.accumulative_counts, train_cfg.max_iters and the"
            " schedulers' begin and end explicitly"
        )
    processes, batch = launched_processes(cfg), _images_per_process(cfg)
    if batch is None:
        raise GlobalBatchError(
            "--keep-global-batch: the config has no train_dataloader.batch_size; add it:"
            " MMEngine also passes it to a batch_sampler"
        )
    if recipe % (processes * batch):
        fitting = _largest_fitting(recipe, processes, batch)
        advice = (
            f"set train_dataloader.batch_size to {fitting}"
            if fitting
            else f"use a number of processes that divides {recipe}"
        )
        raise GlobalBatchError(
            f"--keep-global-batch: the recipe's {recipe} images are not a multiple of"
            f" {counted(processes, 'process')} * {counted(batch, 'image')}; {advice}"
        )
    counts = recipe // (processes * batch)
    cfg.optim_wrapper.accumulative_counts = counts
    return (
        f"global batch {recipe} kept: {counted(processes, 'process')} *"
        f" {counted(batch, 'image')} * {counts} accumulated"
    )


def keep_batch_of_run(cfg: Config, batch: int) -> str | None:
    """Keep the global batch with which a run began, on another number of processes.

    If the images per process do not divide it, the largest smaller number that does is used.

    Args:
        cfg: config, whose batch size and number of accumulated iterations are changed.
        batch: images per update of the first processes.

    Returns:
        A message if anything changed or the batch cannot be kept, otherwise None.

    Raises:
        GlobalBatchError: the number of processes does not divide ``batch``.
    """
    processes, images = launched_processes(cfg), _images_per_process(cfg)
    if images is None:
        return (
            f"the global batch of {batch} images may have changed with the restart: the config has"
            " no train_dataloader.batch_size"
        )
    now = processes * images * cfg.optim_wrapper.get("accumulative_counts", 1)
    if now == batch:
        return None
    if cfg.train_cfg.get("max_epochs") is None:
        return (
            f"the global batch is now {now} images, not {batch} as before the restart: this run"
            " counts iterations, so accumulation would reduce its number of updates"
        )
    fitting = _largest_fitting(batch, processes, images)
    if not fitting:
        raise GlobalBatchError(
            f"after the restart, {processes} processes cannot keep the global batch of {batch}"
            f" images: restart by hand with a number of processes that divides {batch}"
        )
    counts = batch // (processes * fitting)
    cfg.train_dataloader.batch_size, cfg.optim_wrapper.accumulative_counts = fitting, counts
    return (
        f"global batch {batch} kept after the restart: {processes} processes * {fitting} images *"
        f" {counts} accumulated"
    )


def _images_per_process(cfg: Config) -> int | None:
    loader = cfg.get("train_dataloader")
    return loader.get("batch_size") if isinstance(loader, dict) else None


def _largest_fitting(batch: int, processes: int, images: int) -> int:
    """Return the largest number of images per process that divides the batch, 0 if none does."""
    numbers = range(images, 0, -1)
    return next((number for number in numbers if batch % (processes * number) == 0), 0)


def _recipe_batch(cfg: Config, option: str) -> int:
    recipe = (cfg.get("auto_scale_lr") or {}).get("base_batch_size")
    if not recipe:
        raise GlobalBatchError(
            f"{option}: the config does not define a global batch; add"
            " auto_scale_lr=dict(base_batch_size=..., enable=False)"
        )
    return recipe


def accumulation_problem(runner: Runner) -> str | None:
    """Return an error message if an epoch has fewer iterations than are accumulated, or None."""
    counts = (runner.cfg.get("optim_wrapper") or {}).get("accumulative_counts", 1)
    iterations = len(runner.train_dataloader)
    if counts <= iterations:
        return None
    return (
        f"--keep-global-batch accumulates {counts} iterations, but an epoch has {iterations}, so"
        " entire epochs pass without an update: use --auto-scale-lr instead, or train on more"
        " images"
    )


def inexact_checkpoints(runner: Runner) -> str | None:
    """Return a message if checkpoints are saved between two updates, or None.

    They lose the accumulated gradients. The hooks that save at other times wait for an update.
    """
    counts = (runner.cfg.get("optim_wrapper") or {}).get("accumulative_counts", 1)
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook):
            continue
        length = runner.max_epochs if hook.by_epoch else runner.max_iters
        if not 0 < hook.interval < (length or 0):
            continue  # the end of the run is an update
        needed = counts // math.gcd(counts, len(runner.train_dataloader) if hook.by_epoch else 1)
        if hook.interval % needed:
            unit = "epoch" if hook.by_epoch else "iteration"
            return (
                f"checkpoints after every {counted(hook.interval, unit)} lose gradients that are"
                f" accumulated over {counts} iterations, so a resumed run is not exact: set the"
                f" interval to a multiple of {needed}"
            )
    return None


def scale_lr_with_accumulation(runner: Runner) -> None:
    """Include accumulated gradients in the batch of ``auto_scale_lr``, which MMEngine omits.

    Only the runner's settings change, not its config. MMEngine compares the images of one iteration
    with the recipe's batch divided by the number of accumulated iterations, which gives the correct
    ratio.
    """
    scaling = runner.auto_scale_lr
    counts = (runner.cfg.get("optim_wrapper") or {}).get("accumulative_counts", 1)
    if scaling and scaling.get("enable") and counts > 1:
        runner.auto_scale_lr = dict(scaling, base_batch_size=scaling["base_batch_size"] / counts)

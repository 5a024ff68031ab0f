"""Hook that logs the global batch, the learning rate and the length of a run."""

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.optim import LinearParamScheduler, OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from ...datasets import MixtureSampler
from ...datasets.wrappers import count_images
from ...registry import HOOKS
from ...wording import counted
from ..batch_images import images_per_batch
from ..loops.sampler_parts import nested_samplers


@HOOKS.register_module()
class RunSummaryHook(Hook):
    """Log global batch, learning rate, images and epochs before the first iteration.

    A warning follows if the global batch differs from the one that the recipe's learning rate is
    for. With several optimizers, each has its own lines.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        """Log the summary, and a warning if the learning rate does not fit the global batch."""
        wrapper = runner.optim_wrapper
        if not isinstance(wrapper, OptimWrapperDict):
            return self._summarize(runner, wrapper)
        for name, part in wrapper.items():
            self._summarize(runner, part, f"{name}: ")

    def _summarize(self, runner: Runner, wrapper: OptimWrapper, name: str = "") -> None:
        loader = runner.train_dataloader
        images, samples = count_images(loader.dataset), len(loader.dataset)
        repeats = f" ({samples} samples with repeats)" if samples > images else ""
        for sampler in nested_samplers(loader.batch_sampler):
            if isinstance(sampler, MixtureSampler):
                repeats = f" ({sum(sampler.counts)} per epoch by their weights)"
        size = images_per_batch(loader)
        batch = None if size is None else size * get_world_size()
        accumulate = wrapper._accumulative_counts
        lr = max(group.get("initial_lr", group["lr"]) for group in wrapper.optimizer.param_groups)
        lr *= _reached_share(runner)
        runner.logger.info(
            f"{name}Training on {counted(images, 'image')}{repeats}: global batch"
            f"{'' if batch is None else f' {batch * accumulate}'} ="
            f" {counted(get_world_size(), 'process')} * {_batches(size, loader)} *"
            f" {accumulate} accumulated,"
            f" {_length(runner, batch)}, highest learning rate {lr:.3g}"
        )
        if batch is None:
            return
        recipe = (runner.cfg.get("auto_scale_lr") or {}).get("base_batch_size")
        scaled = (runner.cfg.get("auto_scale_lr") or {}).get("enable", False)
        if recipe and recipe != batch * accumulate and not scaled:
            runner.logger.warning(
                f"{name}The recipe's learning rate is for a global batch of {recipe}, but this run"
                f" has {batch * accumulate}: add --auto-scale-lr to scale it, or"
                " --keep-global-batch to accumulate gradients"
            )


def _reached_share(runner: Runner) -> float:
    """Return the highest rate of the run as a share of the full one.

    It is below 1 if the run ends within a linear warm-up.
    """
    schedulers = runner.param_schedulers
    for scheduler in schedulers if isinstance(schedulers, list) else ():
        length = runner.max_epochs if scheduler.by_epoch else runner.max_iters
        is_warmup = isinstance(scheduler, LinearParamScheduler) and scheduler.begin == 0
        if is_warmup and scheduler.param_name == "lr" and length < scheduler.end:
            share = min((length - 1) / max(scheduler.total_iters, 1), 1)
            first, last = scheduler.start_factor, scheduler.end_factor
            return max(first, first + (last - first) * share)
    return 1.0


def _batches(size: int | None, loader: DataLoader) -> str:
    """Describe the batches of one process."""
    if size is not None:
        return counted(size, "image")
    return f"a batch of {type(loader.batch_sampler).__name__}"


def _length(runner: Runner, batch: int | None) -> str:
    """Describe the length of the run in epochs, or in iterations if the loop has no epochs."""
    loader = runner.train_dataloader
    if not isinstance(runner.train_loop, IterBasedTrainLoop):
        return f"{counted(runner.max_epochs, 'epoch')} of {counted(len(loader), 'iteration')}"
    if batch is None:
        return counted(runner.max_iters, "iteration")
    passes = runner.max_iters * batch / max(count_images(loader.dataset), 1)
    return f"{counted(runner.max_iters, 'iteration')} = {passes:.3g} passes over the images"

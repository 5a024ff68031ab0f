"""Table of gpu_cost.py: batches that fit small GPUs, and hours of training."""

from typing import Any

from gpu_model import GpuCost, GpuFit, GpuRates, is_dense

from mim_plugins.errors import ConfigError

IMAGES = 1_281_167  # of ImageNet-1k


def check_plan(name: str, model: Any, batch: int) -> None:
    """Check that ``--plan`` is possible.

    Raises:
        ConfigError: only a backbone would be modeled, or the batch is too small.
    """
    if is_dense(model):
        raise ConfigError(
            f"--plan: of '{name}', only the backbone is modeled; give configs of pre-training or"
            " classification, or leave out --plan"
        )
    if batch < 4:
        raise ConfigError(f"--plan: --batch {batch} must be at least 4")


def plan_head(gpus: dict[str, GpuRates], memories: list[float]) -> list[str]:
    columns = ["modeled", *(f"images in {memory:g} GB" for memory in memories), "images per step",
               *(f"hours on an {name}" for name in gpus)]  # fmt: skip
    return [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]


def plan_row(
    name: str, batch: int, cost: GpuCost, gpus: dict[str, GpuRates], fits: list[GpuFit]
) -> str:
    options = [f"{fit.batch}{', with_cp' * fit.with_cp}" if fit.batch else "none" for fit in fits]
    steps = 100 * IMAGES / batch
    hours = [f"{steps * cost.seconds(rates) / 3600:.0f}" for rates in gpus.values()]
    return f"| {' | '.join([name, *options, str(batch), *hours])} |"

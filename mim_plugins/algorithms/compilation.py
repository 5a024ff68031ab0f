"""Parts of a model that ``torch.compile`` compiles separately."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torchvision.ops import StochasticDepth

from ..errors import ConfigError
from ..heads import PixelHead
from ..layers import PatchEmbed, PatchMerging

SCOPES = ("blocks", "model")
_BETWEEN_BLOCKS = (PatchEmbed, PatchMerging, PixelHead)


def compilable_blocks(model: nn.Module) -> list[nn.Module]:
    """Return the entries of all lists named ``blocks`` in a model."""
    return [
        block
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == "blocks" and isinstance(module, nn.ModuleList)
        for block in module
    ]


def compilable_parts(model: Any) -> list[nn.Module]:
    """Return the blocks of a pre-training model, and what is costly between and after them."""
    others = [module for module in model.modules() if isinstance(module, _BETWEEN_BLOCKS)]
    return [*compilable_blocks(model), *others]


def compile_parts(parts: Sequence[nn.Module], *args: Any, **kwargs: Any) -> None:
    """Compile modules one by one, in place; for the arguments see ``torch.compile``.

    By default, PyTorch refuses to compile more than 8 variants of a function. Blocks of different
    sizes and rates of stochastic depth, in training and in evaluation, are variants.
    """
    import torch._dynamo.config as dynamo  # takes a second, which eager training saves

    name = "recompile_limit" if hasattr(dynamo, "recompile_limit") else "cache_size_limit"
    setattr(dynamo, name, max(getattr(dynamo, name), 4 * len(parts)))
    for part in parts:
        part.compile(*args, **kwargs)


def set_memory_budget(model: nn.Module, budget: float) -> None:
    """Set how much of the activations graphs keep that are compiled from now on, in this process.

    Args:
        model: model to be compiled.
        budget: 1 to keep what makes the step fastest. Below, PyTorch's partitioner keeps at most
            this share and computes the rest again in the backward pass, cheap operations first.

    Raises:
        ConfigError: ``budget`` is no number above 0 and at most 1, or it is below 1 and the model
            has dropout or stochastic depth.
    """
    is_number = isinstance(budget, (int, float)) and not isinstance(budget, bool)
    if not is_number or not 0 < budget <= 1:
        raise ConfigError(f"compile: memory_budget={budget!r} must be above 0 and at most 1")
    random = next((name for name, module in model.named_modules() if _is_random(module)), None)
    if budget < 1 and random is not None:
        # the partitioner may draw the random numbers again, and gradients would be wrong
        raise ConfigError(
            f"compile: memory_budget={budget!r} must be 1, because '{random}' is random; set the"
            " rates of dropout and stochastic depth to 0, or use model.backbone.with_cp=True"
        )
    import torch._functorch.config as functorch

    functorch.activation_memory_budget = budget


def _is_random(module: nn.Module) -> bool:
    """Return whether a module has a positive rate of dropout or stochastic depth."""
    rates = [getattr(module, name, None) for name in ("attn_drop", "drop_prob", "dropout_p")]
    if "Drop" in type(module).__name__ or isinstance(module, StochasticDepth):
        rates.append(getattr(module, "p", None))
    return any(isinstance(rate, (int, float)) and rate > 0 for rate in rates)


def has_many_rates(blocks: list[nn.Module]) -> bool:
    """Return whether the rates of stochastic depth differ between blocks."""
    modules = (module for block in blocks for module in block.modules())
    return len({module.p for module in modules if isinstance(module, StochasticDepth)}) > 1

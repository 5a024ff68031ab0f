"""Parts of a model that ``torch.compile`` compiles separately."""

from torch import nn
from torchvision.ops import StochasticDepth

SCOPES = ("blocks", "model")


def compilable_blocks(model: nn.Module) -> list[nn.Module]:
    """Return the entries of all lists named ``blocks`` in a model."""
    return [
        block
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == "blocks" and isinstance(module, nn.ModuleList)
        for block in module
    ]


def has_many_rates(blocks: list[nn.Module]) -> bool:
    """Return whether the rates of stochastic depth differ between blocks."""
    modules = (module for block in blocks for module in block.modules())
    return len({module.p for module in modules if isinstance(module, StochasticDepth)}) > 1

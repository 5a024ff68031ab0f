"""Runs of a tiny model that FSDP2 shards."""

import torch
from tiny_run import ToyModel, toy_runner

SHARDED = dict(type="mim_plugins.FullyShardedModel")


class WithBlocks(ToyModel):
    """Model of two blocks."""

    def __init__(self):
        super().__init__(self.sum_of_squares)
        self.blocks = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(2))

    def sum_of_squares(self, weight, inputs):
        value = weight * inputs.mean()
        for block in self.blocks:
            value = block(value)
        return (value - 1).square().sum()


def toy(folder, hooks=(), wrapper=None, optimizer=None, wrapped=None, model=WithBlocks, **settings):
    torch.manual_seed(0)
    runner = toy_runner(
        folder,
        model=model(),
        hooks=hooks,
        launcher="pytorch",
        model_wrapper_cfg=SHARDED | (wrapper or {}),
        **settings,
    )
    runner.optim_wrapper.update(wrapped or {})
    runner.optim_wrapper["optimizer"].update(optimizer or {})
    return runner

"""Runs of optimizers without training, and their checkpoints."""

import copy

import torch
from mmengine.optim import OptimWrapper
from tiny_run import ToyModel
from torch import nn

from mim_plugins.engine.resume.checkpoint_compatibility import add_compatibility_meta


class TwoLayers(ToyModel):
    def __init__(self, width=2, dtype=torch.float32):
        super().__init__()
        self.second = nn.Linear(width, 2, dtype=dtype)


def optimizer_of(kind, model, groups=1, **settings):
    parameters = list(model.parameters())
    if groups == 2:
        parameters = [dict(params=parameters[:1]), dict(params=parameters[1:])]
    return OptimWrapper(getattr(torch.optim, kind)(parameters, lr=0.1, **settings))


class Run:
    """Stub with the required attributes of a runner."""

    param_schedulers = None

    def __init__(self, model, wrapper):
        self.model, self.optim_wrapper = model, wrapper


def run(model=None, kind="AdamW", **settings):
    model = model or TwoLayers()
    return Run(model, optimizer_of(kind, model, **settings))


def checkpoint_of(run, noted=True):
    for parameter in run.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    run.optim_wrapper.step()
    content = dict(
        meta={}, state_dict=run.model.state_dict(), optimizer=run.optim_wrapper.state_dict()
    )
    if noted:
        add_compatibility_meta(run, content)
    return copy.deepcopy(content)

"""Modeled cost of a step of a tiny model."""

import torch
from gpu_model import training_cost
from mmengine.config import Config
from tiny_run import MIXMAE

from mim_plugins.analysis import build_on_meta

WRAPPER = dict(type="AmpOptimWrapper", optimizer=dict(type="AdamW", lr=1e-3, fused=True))


def cost(
    model=MIXMAE,
    batch=8,
    dtype=torch.bfloat16,
    optimizer=None,
    compiled=None,
    **changes,
):
    """Model a step; ``compiled`` has arguments of the compilation, ``changes`` are in the model."""
    cfg = Config(dict(model=model, optim_wrapper=WRAPPER, default_scope="mim_plugins"))
    cfg.merge_from_dict({f"model.{key}": value for key, value in changes.items()})
    if optimizer:
        cfg.optim_wrapper.optimizer.update(optimizer)
    torch.manual_seed(0)
    compiled = compiled or {}
    return training_cost(build_on_meta(cfg), cfg, batch, (32, 32), dtype, **compiled)

"""Tiny encoders of each kind that load a checkpoint, and comparisons of their weights."""

import pytest
import torch
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES

from mim_plugins.checkpoints import read_tensors
from mim_plugins.registry import MODELS

TRAINED_BACKBONES = dict(
    MaskedSwin=TINY_BACKBONES["large_windows"],
    MaskedPVT=TINY_BACKBONES["pvt"],
    MaskedViT=PLAIN_BACKBONES["vit"],
    MaskedConvViT=PLAIN_BACKBONES["conv_vit"],
)
HIERARCHICAL = ("MaskedSwin", "MaskedPVT")
EACH = pytest.mark.parametrize("name", sorted(TRAINED_BACKBONES))


def backbone_cfg(name, **changes):
    return TRAINED_BACKBONES[name] | dict(img_size=64) | changes


def pretrained(checkpoint, prefix="backbone."):
    return dict(type="Pretrained", checkpoint=str(checkpoint), prefix=prefix)


def build(name, checkpoint, prefix="backbone.", **changes):
    return MODELS.build(backbone_cfg(name, init_cfg=pretrained(checkpoint, prefix), **changes))


def encoder_of(checkpoint):
    return {
        name.removeprefix("backbone."): tensor
        for name, tensor in read_tensors(checkpoint).items()
        if name.startswith("backbone.")
    }


def assert_loaded(backbone, encoder, left=(), new=()):
    """Check that ``backbone`` equals ``encoder`` exactly, except for the tensors of ``left``."""
    own = backbone.state_dict()
    assert {name for name in encoder if name not in own} == {
        name for name in encoder if name.startswith(left)
    }
    assert all(name.startswith(new) for name in own if name not in encoder)
    for name in set(own) & set(encoder):
        assert torch.equal(own[name], encoder[name]), name

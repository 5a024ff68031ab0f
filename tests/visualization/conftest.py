"""Tiny MR-MAE with teachers that know colors."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mim_plugins.data_preprocessors import reverses_channels
from mim_plugins.registry import MODELS
from mim_plugins.targets import TeacherOutput


class Colors(nn.Module):
    """Teacher that tells each token's mean color, and attends to bright tokens."""

    out_channels = 3
    has_cls_attention = True

    def forward(self, pixels, grid, with_attention=False):
        colors = F.adaptive_avg_pool2d(pixels, grid).flatten(2).transpose(1, 2)
        attention = (9 * colors.sum(dim=-1)).softmax(dim=1) if with_attention else None
        return TeacherOutput(colors, attention)


MODELS.register_module(name="ColoursOfVisualizationTest", module=Colors, force=True)
TARGET = dict(type="mim_plugins.ColoursOfVisualizationTest")


@pytest.fixture
def colors():
    """Config of a mimic of the teacher."""
    return dict(target_generator=dict(TARGET))


@pytest.fixture
def mrmae_config(colors):
    return dict(
        type="mim_plugins.MRMAE",
        backbone=dict(
            type="mim_plugins.MaskedViT",
            arch=dict(depth=2, embed_dims=32, num_heads=2),
            img_size=64,
        ),
        decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        mimics=dict(colors=colors),
        data_preprocessor=dict(
            type="mim_plugins.MixDataPreprocessor",
            mean=[120.0, 110.0, 100.0],
            std=[60.0, 50.0, 40.0],
            bgr_to_rgb=True,
        ),
    )


@pytest.fixture
def build(mrmae_config):
    """Builds the tiny MR-MAE, with changed arguments if wanted."""
    return lambda **changes: MODELS.build(mrmae_config | changes)


@pytest.fixture
def photos():
    """RGB bytes (4, 3, 64, 64)."""
    return torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8)


@pytest.fixture
def prepare(photos):
    """The photos as a model's preprocessor normalizes them."""
    return lambda model: model.data_preprocessor(
        dict(inputs=list(photos.flip(1) if reverses_channels(model.data_preprocessor) else photos))
    )["inputs"]

"""Tiny MR-MAE models."""

import copy

import pytest
from mrmae_fakes import BACKBONES, colors_target

from mim_plugins.registry import MODELS


@pytest.fixture(params=sorted(BACKBONES))
def config(request):
    return dict(
        type="mim_plugins.MRMAE",
        backbone=copy.deepcopy(BACKBONES[request.param]),
        decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        mimics=dict(colors=dict(target_generator=colors_target())),
        data_preprocessor=dict(
            type="mim_plugins.MixDataPreprocessor",
            mean=[120.0, 110.0, 100.0],
            std=[60.0, 50.0, 40.0],
            bgr_to_rgb=True,
        ),
    )


@pytest.fixture
def build(config):
    return lambda **changes: MODELS.build(config | changes)

"""Small models that several test files share."""

import copy

import pytest
import torch

from mim_plugins.registry import MODELS

# encoder stride 16, mask grid 4x4 at 64 pixels, stage grids 16, 8, 4
TINY_BACKBONES = dict(
    large_windows=dict(
        type="mim_plugins.MaskedSwin",
        arch=dict(embed_dims=8, depths=(1, 2, 1), num_heads=(1, 2, 4)),
        img_size=64,
        window_size=(8, 8, 4),
    ),
    # 3 divides none of the grids: padding, cyclic shift and image mask act together
    shifted_windows=dict(
        type="mim_plugins.MaskedSwin",
        arch=dict(embed_dims=8, depths=(2, 2, 2), num_heads=(1, 2, 4)),
        img_size=64,
        window_size=3,
        shift_windows=True,
    ),
    pvt=dict(
        type="mim_plugins.MaskedPVT",
        arch=dict(
            embed_dims=(8, 16, 32), depths=(1, 2, 1), num_heads=(1, 2, 4), mlp_ratios=(2, 2, 2)
        ),
        img_size=64,
    ),
)


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)


@pytest.fixture(params=sorted(TINY_BACKBONES))
def backbone_config(request):
    """Config of a tiny backbone of each kind in turn."""
    return copy.deepcopy(TINY_BACKBONES[request.param])


@pytest.fixture
def build_backbone(backbone_config):
    """Builds the tiny backbone, with changed arguments if wanted."""
    return lambda **changes: MODELS.build(backbone_config | changes)


@pytest.fixture
def mixmae_config(backbone_config):
    """Config of a tiny MixMAE on each kind of backbone in turn."""
    return dict(
        type="mim_plugins.MixMAE",
        backbone=backbone_config,
        decoder=dict(type="mim_plugins.MixMAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        data_preprocessor=dict(
            type="mim_plugins.MixDataPreprocessor",
            mean=[120.0, 110.0, 100.0],
            std=[60.0, 50.0, 40.0],
            batch_transform=dict(type="mim_plugins.MixImages", mask_ratio=0.5),
        ),
    )


@pytest.fixture
def mixmae(mixmae_config):
    """A tiny MixMAE on each kind of backbone in turn."""
    return MODELS.build(mixmae_config)

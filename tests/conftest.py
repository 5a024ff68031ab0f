"""Small models that several test files share."""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from tiny_models import TINY_BACKBONES

from mim_plugins.registry import MODELS

# starts autograd before torch.compile does: threads that the latter adds would prevent tests from
# forking processes
torch.zeros((), requires_grad=True).backward()


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)


def _restore_default_scope():
    scopes = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(scopes)


# a runner sets the default scope of the whole process, also within fixtures of a module
_restore_scope_after_test = pytest.fixture(autouse=True)(_restore_default_scope)
_restore_scope_after_module = pytest.fixture(autouse=True, scope="module")(_restore_default_scope)


@pytest.fixture(params=sorted(TINY_BACKBONES))
def backbone_config(request):
    """Config of a tiny backbone, for each kind."""
    return copy.deepcopy(TINY_BACKBONES[request.param])


@pytest.fixture
def build_backbone(backbone_config):
    """Return a function that builds the tiny backbone with changed arguments."""
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

"""Small models that several test files share."""

import copy

import pytest
import tiny_models
import torch
from mmengine.registry import DefaultScope

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


@pytest.fixture(params=sorted(tiny_models.TINY_BACKBONES))
def backbone_config(request):
    """Return the config of a tiny hierarchical backbone, for each kind."""
    return copy.deepcopy(tiny_models.TINY_BACKBONES[request.param])


@pytest.fixture
def build_backbone(backbone_config):
    """Return a function that builds the tiny backbone with changed arguments."""
    return lambda **changes: MODELS.build(backbone_config | changes)


@pytest.fixture
def mixmae_config(backbone_config):
    """Return the config of a tiny MixMAE on each kind of backbone in turn."""
    return tiny_models.mixmae_config(backbone_config)


@pytest.fixture
def mixmae(mixmae_config):
    """Return a tiny MixMAE on each kind of backbone in turn."""
    return MODELS.build(mixmae_config)

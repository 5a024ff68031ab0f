"""Tiny MR-MAE models."""

import copy

import pytest
import tiny_models
from mrmae_fakes import BACKBONES, colors_mimic

from mim_plugins.registry import MODELS


@pytest.fixture(params=sorted(BACKBONES))
def config(request):
    mimics = dict(colors=colors_mimic())
    return tiny_models.mrmae_config(copy.deepcopy(BACKBONES[request.param]), mimics=mimics)


@pytest.fixture
def build(config):
    return lambda **changes: MODELS.build(config | changes)

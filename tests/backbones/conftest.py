"""Tiny backbones of all kinds; a file that overrides ``config`` tests some of them."""

import copy

import pytest
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES

from mim_plugins.registry import MODELS

BACKBONES = TINY_BACKBONES | PLAIN_BACKBONES


@pytest.fixture(params=BACKBONES)
def config(request):
    return copy.deepcopy(BACKBONES[request.param])


@pytest.fixture
def build(config):
    """Return a function that builds the backbone with changed arguments, for evaluation."""
    return lambda **changes: MODELS.build(config | changes).eval()

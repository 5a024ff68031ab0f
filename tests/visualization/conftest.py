"""Tiny MR-MAE whose teacher computes colors."""

import pytest
import tiny_models
import torch
from mrmae_fakes import BACKBONES, colors_mimic

from mim_plugins.data_preprocessors import reverses_channels
from mim_plugins.registry import MODELS


@pytest.fixture
def colors():
    """Config of a mimic of the teacher."""
    return colors_mimic()


@pytest.fixture
def mrmae_config(colors):
    backbone = BACKBONES["vit"] | dict(img_size=64)
    return tiny_models.mrmae_config(backbone, mimics=dict(colors=colors))


@pytest.fixture
def build(mrmae_config):
    """Return a function that builds the tiny MR-MAE with changed arguments."""
    return lambda **changes: MODELS.build(mrmae_config | changes)


@pytest.fixture
def photos():
    """Return RGB bytes (4, 3, 64, 64)."""
    return torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8)


@pytest.fixture
def prepare(photos):
    """Return a function that normalizes the photos with a model's preprocessor."""
    return lambda model: model.data_preprocessor(
        dict(inputs=list(photos.flip(1) if reverses_channels(model.data_preprocessor) else photos))
    )["inputs"]

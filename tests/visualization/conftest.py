"""Tiny MR-MAE with a teacher that knows colors."""

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

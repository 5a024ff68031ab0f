"""Configs of tiny models in the form of the recipes' files."""

import numpy as np
import pytest
from mmengine.config import Config
from tiny_models import SMALL_SWIN

from mim_plugins.apis import find_config


@pytest.fixture
def photos():
    """RGB images of noise in three sizes."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, 255, (h, 70, 3), dtype=np.uint8) for h in (36, 50, 64)]


@pytest.fixture
def photo(photos):
    return photos[1]


@pytest.fixture
def pretrain_cfg():
    cfg = Config.fromfile(find_config("mixmae/swin_b_600e"))
    cfg.model.backbone = dict(SMALL_SWIN)
    cfg.model.decoder.update(embed_dims=16, depth=1, num_heads=2)
    return cfg


@pytest.fixture
def finetune_cfg():
    cfg = Config.fromfile(find_config("mixmae/swin_b_finetune_100e"))
    cfg.model.backbone = dict(SMALL_SWIN, out_type="avg_featmap")
    cfg.model.head.update(num_classes=5, in_channels=16)
    cfg.data_preprocessor.num_classes = 5
    pipeline = cfg.test_dataloader.dataset.pipeline
    pipeline[1].scale, pipeline[2].crop_size = 37, 32
    return cfg


@pytest.fixture
def mrmae_cfg():
    cfg = Config.fromfile(find_config("mrmae/vit_b_400e"))
    cfg.model.backbone.update(arch=dict(depth=1, embed_dims=32, num_heads=2), img_size=64)
    cfg.model.decoder.update(embed_dims=16, depth=1, num_heads=2)
    cfg.model.focus_teacher = "clip"
    return cfg

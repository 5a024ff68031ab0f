import pytest
import torch
from gpu_model import fit_memory, training_cost
from mmengine.config import Config

from mim_plugins.analysis import build_on_meta
from mim_plugins.apis import read_config

BATCH = 64
SIZE = (224, 224)


@pytest.fixture(scope="module")
def cfg():
    cfg: Config = read_config("mixmae/swin_b_600e")
    cfg.model.backbone.arch = dict(embed_dims=32, depths=(1, 1, 4, 1), num_heads=(1, 2, 4, 8))
    cfg.model.decoder.update(embed_dims=64, depth=1, num_heads=4)
    return cfg


def peak(cfg, batch, with_cp=False):
    cfg = Config(cfg.to_dict())
    cfg.model.backbone.with_cp = with_cp
    torch.manual_seed(0)
    return training_cost(build_on_meta(cfg), cfg, batch, SIZE, torch.bfloat16).peak_bytes


def test_the_largest_fitting_batch_is_chosen(cfg):
    half = peak(cfg, BATCH // 2) / 0.9
    memories = [1e12, 1.01 * half, 0.99 * half, 1.0]
    fits = fit_memory(cfg, BATCH, SIZE, torch.bfloat16, memories)
    assert fits[0] == (BATCH, False)
    assert fits[1] == (BATCH // 2, False)
    assert fits[2].with_cp
    assert fits[2].batch >= BATCH // 2
    assert 0.9 * memories[2] >= peak(cfg, fits[2].batch, with_cp=True)
    assert fits[3].batch == 0

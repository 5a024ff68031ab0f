import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import nn

from mim_plugins.analysis import (
    count_parameters,
    encoder_stages,
    forward_cost,
    multiply_accumulates,
    step_cost,
    transfer_cost,
)
from mim_plugins.apis import find_config
from mim_plugins.backbones import StageInfo
from mim_plugins.registry import MODELS


def on_meta(cfg):
    with torch.device("meta"):
        return MODELS.build(cfg)


def backbone_of(name):
    cfg = dict(Config.fromfile(find_config(name)).model.backbone)
    cfg.pop("init_cfg", None)
    return on_meta(cfg).eval()


@pytest.mark.parametrize(
    ("name", "published"),
    [
        # from the authors' README
        ("mixmae/swin_b_finetune_100e", 16.3),
        ("mixmae/swin_b_384_finetune_100e", 52.6),
        ("mixmae/swin_l_finetune_100e", 35.9),
        ("mixmae/swin_l_384_finetune_100e", 112),
    ],
)
def test_the_cost_of_the_encoders_equals_the_published_one(name, published):
    backbone = backbone_of(name)
    giga = forward_cost(backbone, backbone.img_size) / 1e9
    assert giga == pytest.approx(published, rel=0.005)


def test_products_convolutions_and_masked_attention_count():
    linear, conv = nn.Linear(6, 5), nn.Conv2d(4, 8, 3, padding=1, groups=2)
    assert multiply_accumulates(lambda: linear(torch.zeros(7, 6))) == 7 * 6 * 5
    assert multiply_accumulates(lambda: conv(torch.zeros(1, 4, 9, 9))) == 81 * 8 * 2 * 9
    tokens, mask = torch.zeros(2, 3, 10, 4), torch.ones(10, 10, dtype=torch.bool)
    for attn_mask in (None, mask):
        attend = lambda m=attn_mask: F.scaled_dot_product_attention(tokens, tokens, tokens, m)  # noqa: E731
        assert multiply_accumulates(attend) == 2 * 6 * 10 * 10 * 4


def test_a_backward_pass_costs_about_two_forward_passes(mixmae_config):
    model = on_meta(mixmae_config)
    cost = step_cost(model, (64, 64))
    assert 2.5 * cost.forward < cost.step < 3.1 * cost.forward
    assert cost.forward > forward_cost(model.backbone, (64, 64))
    assert cost.memory > 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_memory_and_cost_grow_with_the_image(mixmae_config):
    backbone = on_meta(mixmae_config["backbone"])
    small, large = (transfer_cost(backbone, (side, side)) for side in (64, 128))
    assert large.memory > 3 * small.memory
    assert large.forward > 3 * small.forward


def test_checkpointing_trades_memory_for_cost():
    arch = dict(embed_dims=16, depths=(2, 4), num_heads=(1, 2))
    cfg = dict(type="mim_plugins.MaskedSwin", arch=arch, img_size=64, window_size=8)
    plain, saving = (transfer_cost(on_meta(cfg | dict(with_cp=w)), (64, 64)) for w in (False, True))
    assert saving.memory < 0.5 * plain.memory
    assert saving.step > 1.2 * plain.step


def test_stages_of_every_kind_of_encoder_are_found():
    assert encoder_stages(backbone_of("mixmae/swin_b_finetune_100e"), (224, 224)) == [
        StageInfo(4, (56, 56), 128, 2),
        StageInfo(8, (28, 28), 256, 2),
        StageInfo(16, (14, 14), 512, 18),
        StageInfo(32, (7, 7), 1024, 2),
    ]
    assert encoder_stages(backbone_of("mrmae/mcmae_b_finetune_100e"), (224, 224)) == [
        StageInfo(4, (56, 56), 256, 2),
        StageInfo(8, (28, 28), 384, 2),
        StageInfo(16, (14, 14), 768, 11),
    ]
    vit = backbone_of("mrmae/vit_b_finetune_100e")
    assert encoder_stages(vit, (200, 224)) == [StageInfo(16, (13, 14), 768, 12)]
    assert encoder_stages(nn.Linear(1, 1), (224, 224)) == []


def test_parameters_are_counted_by_part():
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    model.scale = nn.Parameter(torch.zeros(4))
    assert count_parameters(model) == {"0": 8, "(itself)": 4}

import pytest
import torch
from torch import nn

from mim_plugins.backbones.base_backbone import BaseBackbone, StageInfo


class TinyBackbone(BaseBackbone):
    arch_settings = {"base": dict(embed_dims=8, depths=[1, 2, 1])}

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embed = nn.Linear(3, 8)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, dim), nn.BatchNorm1d(dim)) for dim in self.stage_channels
        )
        self.post_init()

    def parts_to_freeze(self):
        return [self.embed, *self.stages[: self.frozen_stages]]


def test_arguments_are_keywords_only():
    with pytest.raises(TypeError, match="positional"):
        BaseBackbone("base", 224)


def test_stages_double_channels_and_halve_the_grid():
    backbone = TinyBackbone(img_size=(64, 96), encoder_stride=16)
    assert backbone.stages_info() == [
        StageInfo(4, (16, 24), 8, 1),
        StageInfo(8, (8, 12), 16, 2),
        StageInfo(16, (4, 6), 32, 1),
    ]
    assert backbone.stages_info((40, 33))[-1].grid == (3, 3)


def test_drop_path_rates_grow_linearly_over_all_blocks():
    rates = TinyBackbone().drop_path_rates(0.3)
    assert [len(stage) for stage in rates] == [1, 2, 1]
    assert [rate for stage in rates for rate in stage] == pytest.approx([0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize("frozen", [-1, 0, 1, 3])
def test_frozen_parts_have_no_gradient_and_stay_in_evaluation_mode(frozen):
    backbone = TinyBackbone(frozen_stages=frozen).train()
    assert all(p.requires_grad == (frozen < 0) for p in backbone.embed.parameters())
    for number, stage in enumerate(backbone.stages, 1):
        is_frozen = number <= frozen
        assert all(parameter.requires_grad != is_frozen for parameter in stage.parameters())
        assert stage[1].training != is_frozen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(arch="huge"), "arch='huge'"),
        (dict(img_size=(64, 0)), "img_size"),
        (dict(frozen_stages=4), "frozen_stages=4"),
        (dict(out_indices=(3,)), "out_indices"),
        (dict(out_type="raw"), "out_type='raw'"),
        (dict(in_channels=0), "in_channels=0"),
    ],
)
def test_wrong_arguments_are_refused_with_their_names(changes, message):
    with pytest.raises(ValueError, match=message):
        TinyBackbone(**changes)


def test_linear_layers_are_initialized_by_post_init():
    torch.manual_seed(0)
    backbone = TinyBackbone()
    assert all((stage[0].bias == 0).all() for stage in backbone.stages)

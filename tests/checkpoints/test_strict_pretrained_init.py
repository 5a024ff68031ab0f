import pytest
import torch
from mmengine.model.weight_init import PretrainedInit
from torch import nn

from mim_plugins.checkpoints import StrictPretrainedInit, strict_init_cfg
from mim_plugins.errors import CheckpointError

PRETRAINED = dict(type="Pretrained", checkpoint="x.pth", prefix="backbone.")
CONSTANT = dict(type="Constant", layer="Linear", val=1.0)


@pytest.mark.parametrize("kind", ["Pretrained", "mmengine.Pretrained", PretrainedInit])
def test_pretrained_becomes_strict(kind):
    given = PRETRAINED | dict(type=kind)
    strict = strict_init_cfg(given)
    assert strict == [PRETRAINED | dict(type=StrictPretrainedInit)]
    assert given["type"] is kind
    assert strict_init_cfg(strict) == strict


@pytest.mark.parametrize("init_cfg", [None, CONSTANT, [CONSTANT]])
def test_other_initialization_is_unchanged(init_cfg):
    assert strict_init_cfg(init_cfg) is init_cfg


def test_pretrained_weights_come_last():
    strict = strict_init_cfg([PRETRAINED, CONSTANT])
    assert [cfg["type"] for cfg in strict] == ["Constant", StrictPretrainedInit]


def test_the_initializer_loads_its_module(tmp_path):
    saved, loaded = nn.Linear(2, 3), nn.Linear(2, 3)
    torch.save(saved.state_dict(), tmp_path / "x.pth")
    StrictPretrainedInit(str(tmp_path / "x.pth"), map_location="cpu")(loaded)
    assert torch.equal(loaded.weight, saved.weight)
    with pytest.raises(CheckpointError, match=r"no checkpoint.*absent\.pth"):
        StrictPretrainedInit(str(tmp_path / "absent.pth"))(loaded)

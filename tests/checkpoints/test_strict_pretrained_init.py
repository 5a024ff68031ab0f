import pytest
import torch
from mmengine.model.weight_init import PretrainedInit
from mmengine.registry import WEIGHT_INITIALIZERS, DefaultScope, build_from_cfg
from torch import nn

from mim_plugins.checkpoints import StrictPretrainedInit, strict_init_cfg
from mim_plugins.errors import CheckpointError

PRETRAINED = dict(type="Pretrained", checkpoint="x.pth", prefix="backbone.")
CONSTANT = dict(type="Constant", layer="Linear", val=1.0)


@pytest.mark.parametrize("kind", ["Pretrained", "mmengine.Pretrained", PretrainedInit])
def test_pretrained_becomes_strict(kind):
    given = PRETRAINED | dict(type=kind)
    (strict,) = strict_init_cfg(given)
    built = build_from_cfg(strict, WEIGHT_INITIALIZERS)
    assert type(built) is StrictPretrainedInit
    assert (built.checkpoint, built.prefix) == ("x.pth", "backbone.")
    assert strict["type"] == "Pretrained"  # MMEngine loads entries of this name last
    assert given["type"] is kind
    assert strict_init_cfg([strict]) == [strict]


@pytest.mark.parametrize("scope", [None, "mim_plugins", "mmpretrain"])
def test_modules_of_others_keep_their_initialization(scope):
    with DefaultScope.overwrite_default_scope(scope):
        assert type(build_from_cfg(PRETRAINED, WEIGHT_INITIALIZERS)) is PretrainedInit


@pytest.mark.parametrize("init_cfg", [None, CONSTANT, [CONSTANT]])
def test_other_initialization_is_unchanged(init_cfg):
    assert strict_init_cfg(init_cfg) is init_cfg


def test_pretrained_weights_come_last():
    strict = strict_init_cfg([PRETRAINED, CONSTANT])
    assert [cfg["type"] for cfg in strict] == ["Constant", "Pretrained"]


def test_the_initializer_loads_its_module(tmp_path):
    saved, loaded = nn.Linear(2, 3), nn.Linear(2, 3)
    torch.save(saved.state_dict(), tmp_path / "x.pth")
    StrictPretrainedInit(str(tmp_path / "x.pth"), map_location="cpu")(loaded)
    assert torch.equal(loaded.weight, saved.weight)
    with pytest.raises(CheckpointError, match=r"no checkpoint.*absent\.pth"):
        StrictPretrainedInit(str(tmp_path / "absent.pth"))(loaded)

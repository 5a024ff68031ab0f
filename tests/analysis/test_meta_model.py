import copy

import tiny_models
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mim_plugins.analysis import build_on_meta


def test_the_model_has_shapes_only_and_the_config_is_unchanged():
    cfg = Config(dict(model=tiny_models.mixmae_config(tiny_models.SMALL_SWIN, mimics=dict(t=None))))
    before = copy.deepcopy(cfg.to_dict())
    with DefaultScope.overwrite_default_scope("mim_plugins"):
        model = build_on_meta(cfg)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert model.training
    assert cfg.to_dict() == before

from mmengine.model.weight_init import PretrainedInit
from mmengine.registry import WEIGHT_INITIALIZERS as ROOT_WEIGHT_INITIALIZERS

from mim_plugins.checkpoints.registry import SCOPE, WEIGHT_INITIALIZERS
from mim_plugins.checkpoints.strict_pretrained_init import StrictPretrainedInit


def test_strict_initialization_is_found_in_its_scope_only():
    assert WEIGHT_INITIALIZERS.get("Pretrained") is StrictPretrainedInit
    assert ROOT_WEIGHT_INITIALIZERS.get("Pretrained") is PretrainedInit


def test_entries_of_the_scope_are_built_by_mmengine():
    entry = dict(type="Pretrained", checkpoint="a.pth", _scope_=SCOPE)
    assert isinstance(ROOT_WEIGHT_INITIALIZERS.build(entry), StrictPretrainedInit)
    assert isinstance(ROOT_WEIGHT_INITIALIZERS.build(entry | dict(_scope_=None)), PretrainedInit)

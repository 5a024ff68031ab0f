"""Layer-wise learning rates of encoders and stages inside other modules."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from mim_plugins.checkpoints.wrapped_names import WRAPPERS, without_wrappers
from mim_plugins.errors import ConfigError
from mim_plugins.registry import MODELS

KINDS = TINY_BACKBONES | PLAIN_BACKBONES


class Inside(nn.Module):
    """Wrapper with a name of its own, which forwards attributes, such as those of third parties."""

    def __init__(self, module):
        super().__init__()
        self.inside = module

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inside"), name)


class Module(nn.Module):
    """Wrapper like DDP, without attributes of the module."""

    def __init__(self, module):
        super().__init__()
        self.module = module


WRAPS = [torch.compile, checkpoint_wrapper, Inside]


@pytest.fixture(params=["large_windows", "shifted_windows", "pvt", "vit", "conv_vit"])
def encoder(request):
    return MODELS.build(copy.deepcopy(KINDS[request.param]))


def rates(encoder):
    """Return learning rate and decay of each parameter, in order."""
    model = nn.Module()
    model.neck, model.backbone = nn.Linear(2, 2), encoder
    paramwise = dict(layer_decay_rate=0.5)
    constructor = "mim_plugins.LayerDecayOptimWrapperConstructor"
    optimizer = dict(type="AdamW", lr=1.0, weight_decay=0.05)
    wrapper = build_optim_wrapper(
        model, dict(optimizer=optimizer, constructor=constructor, paramwise_cfg=paramwise)
    )
    groups = wrapper.optimizer.param_groups
    found = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    return [found[id(p)] for p in model.parameters()]


@pytest.mark.parametrize("wrap", [*WRAPS, Module])
def test_a_wrapped_encoder_keeps_its_rates(encoder, wrap):
    expected = rates(encoder)
    assert len(set(expected)) > 4
    assert rates(wrap(encoder)) == expected


@pytest.mark.parametrize("wrap", WRAPS)
def test_wrapped_stages_and_blocks_keep_their_depths(encoder, wrap):
    expected = [encoder.layer_depth(name) for name, _ in encoder.named_parameters()]
    stages = [*getattr(encoder, "stages", [encoder])]
    for stage in stages:
        stage.blocks[-1] = wrap(stage.blocks[-1])
    if hasattr(encoder, "stages"):
        encoder.stages[1] = checkpoint_wrapper(wrap(encoder.stages[1]))
    names = [name for name, _ in encoder.named_parameters()]
    assert [encoder.layer_depth(name) for name in names] == expected
    assert [encoder.get_layer_depth(f"a.{name}", "a.")[0] for name in names] == expected
    if wrap is not Inside:  # names of a state dict may lack wrappers
        assert [encoder.layer_depth(without_wrappers(name)) for name in names] == expected


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_names_of_a_wrapped_encoder_have_its_depths(encoder, wrapper):
    for name, _ in encoder.named_parameters():
        expected = encoder.get_layer_depth(name)
        assert encoder.get_layer_depth(f"backbone.{wrapper}.{name}", "backbone.") == expected
        assert encoder.get_layer_depth(f"{wrapper}._orig_mod.{name}") == expected


@pytest.mark.parametrize("name", ["unknown.blocks.0.weight", "_orig_mod.unknown.norm", "module"])
def test_names_without_a_rule_are_refused(encoder, name):
    with pytest.raises(ConfigError, match=r"the depth of '.*' .* is unknown.*before the encoder"):
        encoder.get_layer_depth(name)


def test_parameters_that_join_depths_are_refused(encoder):
    names = ["_flat_param", "_fsdp_wrapped_module._flat_param"]
    if hasattr(encoder, "stages"):
        names.append("stages.1._fsdp_wrapped_module._flat_param")
    for name in names:
        with pytest.raises(ConfigError, match="joins parameters of several depths"):
            encoder.get_layer_depth(name)
    block = "stages.1.blocks.1." if hasattr(encoder, "stages") else "blocks.1."
    flat = f"{block}_fsdp_wrapped_module._flat_param"
    assert encoder.get_layer_depth(flat) == encoder.get_layer_depth(f"{block}norm1.weight")

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mim_plugins.errors import ConfigError
from mim_plugins.registry import MODELS

TYPE = "mim_plugins.LayerDecayOptimWrapperConstructor"
MODULE = "mim_plugins.engine.optim.layer_decay_optim_wrapper_constructor"


def wrapper_cfg(**paramwise):
    return dict(
        optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.05),
        constructor=TYPE,
        paramwise_cfg=paramwise,
    )


class TinyModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = MODELS.build(
            dict(
                type="MaskedSwin",
                arch=dict(embed_dims=8, depths=(1, 2), num_heads=(1, 2)),
                img_size=16,
                patch_size=2,
                window_size=4,
            )
        )
        self.decoder = MODELS.build(
            dict(
                type="MixMAEDecoder",
                in_channels=16,
                grid=(4, 4),
                patch_size=4,
                embed_dims=16,
                depth=1,
                num_heads=2,
            )
        )
        self.head = nn.Linear(16, 3)


@pytest.fixture
def model():
    return TinyModel()


def settings(model, wrapper):
    """Return learning rate and weight decay of every parameter by name."""
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in wrapper.optimizer.param_groups
        for p in group["params"]
    }


@pytest.mark.parametrize(
    ("decay_tokens", "tokens"), [(False, {"decoder.mask_token"}), (True, set())]
)
def test_biases_norms_and_optionally_tokens_have_no_decay(model, decay_tokens, tokens):
    found = settings(model, build_optim_wrapper(model, wrapper_cfg(decay_tokens=decay_tokens)))
    spared = {name for name, (_, decay) in found.items() if decay == 0}
    # independent implementation of timm's rule
    expected = {name for name, p in model.named_parameters() if p.ndim == 1 or ".bias" in name}
    assert spared == expected | tokens
    table = "backbone.stages.0.blocks.0.attn.relative_position_bias_table"
    assert found[table][1] == 0.05
    assert found["head.weight"][1] == 0.05


def test_biases_outside_norms_decay_on_request():
    arch = dict(depth=1, embed_dims=8, num_heads=2)
    encoder = dict(type="MaskedViT", arch=arch, img_size=32, learn_pos_embed=True)
    head = nn.Sequential(nn.Conv2d(8, 8, 1), nn.GroupNorm(2, 8), nn.BatchNorm2d(8))
    model = nn.ModuleDict(dict(backbone=MODELS.build(encoder), head=head))
    found = settings(model, build_optim_wrapper(model, wrapper_cfg(decay_biases=True)))
    spared = {name for name, (_, decay) in found.items() if decay == 0}
    norms = {name for name in found if ".norm" in name or name.startswith(("head.1", "head.2"))}
    assert spared == norms | {"backbone.pos_embed", "backbone.cls_token"}
    assert found["head.0.bias"][1] == found["backbone.blocks.0.attn.qkv.bias"][1] == 0.05


@pytest.mark.parametrize("decay_tokens", [False, True])
def test_learned_positions_have_the_lowest_rate_and_decay(monkeypatch, decay_tokens):
    logged = []
    monkeypatch.setattr(f"{MODULE}.print_log", lambda text, **_: logged.append(text))
    arch = dict(depth=2, embed_dims=8, num_heads=2)
    encoder = dict(type="MaskedViT", arch=arch, img_size=32, learn_pos_embed=True)
    model = nn.ModuleDict(dict(backbone=MODELS.build(encoder), head=nn.Linear(8, 3)))
    cfg = wrapper_cfg(layer_decay_rate=0.5, decay_tokens=decay_tokens)
    found = settings(model, build_optim_wrapper(model, cfg))
    decay = 0.05 if decay_tokens else 0.0
    assert found["backbone.pos_embed"] == found["backbone.cls_token"] == (0.5**3, decay)
    without = (
        "biases and norms" if decay_tokens else "biases, norms, tokens and position embeddings"
    )
    assert f"weight decay 0.05 (none on {without})" in logged[0]


def test_every_trainable_parameter_is_in_one_group(model):
    wrapper = build_optim_wrapper(model, wrapper_cfg(layer_decay_rate=0.7))
    in_groups = [id(p) for g in wrapper.optimizer.param_groups for p in g["params"]]
    assert sorted(in_groups) == sorted(id(p) for p in model.parameters())


def test_learning_rates_decay_from_the_head_to_the_embedding(model):
    found = settings(model, build_optim_wrapper(model, wrapper_cfg(layer_decay_rate=0.5)))
    # three blocks: embedding, block 1, block 2 (with the merging before it), block 3 and norm, head
    assert found["backbone.patch_embed.proj.weight"][0] == 0.5**4
    assert found["backbone.stages.0.blocks.0.attn.qkv.weight"][0] == 0.5**3
    assert found["backbone.stages.1.downsample.reduction.weight"][0] == 0.5**2
    assert found["backbone.stages.1.blocks.0.mlp.fc1.weight"][0] == 0.5**2
    assert found["backbone.stages.1.blocks.1.mlp.fc1.weight"][0] == 0.5
    assert found["backbone.norm.weight"][0] == 0.5
    assert found["decoder.pred.weight"][0] == 1.0
    assert found["head.weight"][0] == 1.0


def test_the_head_may_have_the_rate_of_the_last_block(model):
    cfg = wrapper_cfg(layer_decay_rate=0.5, head_depth=-2)
    found = settings(model, build_optim_wrapper(model, cfg))
    full = settings(model, build_optim_wrapper(model, wrapper_cfg(layer_decay_rate=0.5)))
    outside = {name for name in found if not name.startswith("backbone.")}
    assert {found[name][0] for name in outside} == {0.5}
    assert all(found[name] == full[name] for name in set(found) - outside)


def test_learning_rates_are_equal_without_layer_decay(model):
    found = settings(model, build_optim_wrapper(model, wrapper_cfg()))
    assert {lr for lr, _ in found.values()} == {1.0}


def test_layer_decay_needs_the_blocks_of_each_stage(model):
    stage = model.backbone.stages[1]
    stage.layers = stage.blocks
    stage.blocks = None
    assert len(settings(model, build_optim_wrapper(model, wrapper_cfg()))) > 0
    with pytest.raises(ConfigError, match=r"stages\[1\]\.blocks contains 0 blocks.* require 2"):
        build_optim_wrapper(model, wrapper_cfg(layer_decay_rate=0.5))


def test_equal_settings_share_a_group(model):
    wrapper = build_optim_wrapper(model, wrapper_cfg())
    assert len(wrapper.optimizer.param_groups) == 2


def test_frozen_parameters_are_omitted(model):
    model.head.requires_grad_(False)
    found = settings(model, build_optim_wrapper(model, wrapper_cfg()))
    assert not any(name.startswith("head") for name in found)


def test_layer_decay_works_in_mmpretrain_classifiers():
    pytest.importorskip("mmpretrain")
    from mmengine.registry import DefaultScope
    from mmpretrain.registry import MODELS as CLASSIFIERS

    with DefaultScope.overwrite_default_scope("mmpretrain"):
        classifier = CLASSIFIERS.build(
            dict(
                type="ImageClassifier",
                backbone=dict(
                    type="mim_plugins.MaskedSwin",
                    arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
                    img_size=16,
                    window_size=4,
                    out_type="avg_featmap",
                ),
                head=dict(type="LinearClsHead", num_classes=3, in_channels=16),
            )
        )
    found = settings(classifier, build_optim_wrapper(classifier, wrapper_cfg(layer_decay_rate=0.5)))
    assert found["head.fc.weight"][0] == 1.0
    assert found["backbone.patch_embed.norm.weight"][0] == 0.5**3


@pytest.mark.parametrize(
    "paramwise",
    [
        {"layer_decay_rate": 0},
        {"layer_decay_rate": 1.1},
        {"layer_decay_rate": "0.7"},
        {"head_depth": 0},
        {"head_depth": -3},
        {"decay_tokens": 1},
        {"decay_biases": 1},
    ],
)
def test_settings_that_are_not_allowed_are_rejected(model, paramwise):
    with pytest.raises(ValueError, match="may contain only layer_decay_rate"):
        build_optim_wrapper(model, wrapper_cfg(**paramwise))


def test_unknown_setting_is_rejected(model):
    with pytest.raises(ValueError, match="custom_keys"):
        build_optim_wrapper(model, wrapper_cfg(custom_keys={}))


def test_delete_key_without_base_settings_is_ignored(model):
    # MMEngine's Config keeps _delete_ if the base config has no such dict
    wrapper = build_optim_wrapper(model, wrapper_cfg(layer_decay_rate=1.0, _delete_=True))
    assert settings(model, wrapper) == settings(model, build_optim_wrapper(model, wrapper_cfg()))


def test_unknown_optimizer_is_rejected(model):
    with pytest.raises(ValueError, match=r"optimizer\.type='AdamV' is not registered"):
        build_optim_wrapper(model, wrapper_cfg() | dict(optimizer=dict(type="AdamV", lr=1.0)))


@pytest.mark.parametrize("optimizer", [dict(type="AdamW"), dict(type="AdamW", lr=None)])
def test_an_optimizer_without_learning_rate_is_refused(model, optimizer):
    with pytest.raises(ConfigError, match=r"lr=None must be a number; set .*optimizer\.lr"):
        build_optim_wrapper(model, wrapper_cfg() | dict(optimizer=optimizer))


@pytest.mark.parametrize(
    ("optimizer", "default"),
    [
        (dict(type="AdamW"), 0.01),
        (dict(type="SGD"), 0.0),
        (dict(type="mim_plugins.ShardedOptimizer", optimizer_type="AdamW"), 0.01),
    ],
)
def test_the_default_of_the_optimizer_is_its_weight_decay(model, monkeypatch, optimizer, default):
    logged = []
    monkeypatch.setattr(f"{MODULE}.print_log", lambda text, **_: logged.append(text))
    cfg = wrapper_cfg(layer_decay_rate=0.5) | dict(optimizer=optimizer | dict(lr=1.0))
    found = settings(model, build_optim_wrapper(model, cfg))
    assert found["head.weight"] == (1.0, default)
    assert found["head.bias"] == found["decoder.mask_token"] == (1.0, 0.0)
    assert found["backbone.patch_embed.proj.weight"] == (0.5**4, default)
    assert "weight decay of the optimizer's default (none on biases" in logged[0]


def test_layer_decay_needs_a_backbone_with_layer_depths():
    with pytest.raises(ValueError, match="get_layer_depth"):
        build_optim_wrapper(nn.Sequential(nn.Linear(2, 2)), wrapper_cfg(layer_decay_rate=0.5))


def test_groups_step_like_plain_adamw(model):
    wrapper = build_optim_wrapper(model, wrapper_cfg())
    before = model.head.weight.detach().clone()
    wrapper.update_params(model.head(torch.ones(1, 16)).sum())
    assert not torch.equal(before, model.head.weight)

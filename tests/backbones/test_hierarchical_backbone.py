import math
import re

import pytest
import torch
from torch import nn

from mim_plugins.backbones import HierarchicalBackbone
from mim_plugins.registry import MODELS


def loss_and_gradients(backbone, images):
    loss = sum(feature.square().mean() for feature in backbone(images))
    loss.backward()
    return loss.item(), {name: p.grad for name, p in backbone.named_parameters()}


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (33, 100), (96, 48), (7, 5)])
def test_maps_have_the_stride_of_their_stage_on_any_image_size(build_backbone, size):
    backbone = build_backbone(out_indices=(0, 1, 2)).eval()

    features = backbone(torch.randn(2, 3, *size))

    for stage, feature in enumerate(features):
        stride = 4 * 2**stage
        grid = (math.ceil(size[0] / stride), math.ceil(size[1] / stride))
        assert feature.shape == (2, 8 * 2**stage, *grid)
        assert feature.isfinite().all()


def test_out_indices_determine_the_returned_maps_and_order(build_backbone):
    backbone, images = build_backbone(out_indices=(0, 1, 2)).eval(), torch.randn(1, 3, 64, 64)
    all_stages = backbone(images)
    chosen = build_backbone(out_indices=(-1, 0)).eval()

    chosen.load_state_dict(backbone.state_dict(), strict=False)
    features = chosen(images)

    assert len(features) == 2
    assert torch.equal(features[0], all_stages[2])
    assert torch.equal(features[1], all_stages[0])


def test_only_intermediate_outputs_have_extra_norms(build_backbone):
    assert set(build_backbone().out_norms) == set()
    assert set(build_backbone(out_indices=(0, 1, 2)).out_norms) == {"0", "1"}
    assert set(build_backbone(out_indices=(1, -1)).out_norms) == {"1"}


def test_every_returned_map_is_normalized(build_backbone):
    features = build_backbone(out_indices=(0, 1, 2)).eval()(torch.randn(1, 3, 64, 64))

    for feature in features:
        assert torch.allclose(feature.mean(dim=1), torch.zeros(()), atol=1e-5)
        variance = feature.var(dim=1, unbiased=False)
        assert torch.allclose(variance, torch.ones(()), atol=1e-2)


def test_equal_content_at_other_places_has_other_features(build_backbone):
    backbone = build_backbone().eval()

    (feature,) = backbone(torch.ones(1, 3, 64, 64))

    for row, col in [(0, 3), (3, 0), (3, 3)]:
        assert not torch.allclose(feature[..., 0, 0], feature[..., row, col], atol=1e-3)


def test_pooled_features_are_the_mean_of_the_maps(build_backbone):
    maps = build_backbone(out_indices=(1, 2)).eval()
    pooled = build_backbone(out_indices=(1, 2), out_type="avg_featmap").eval()
    pooled.load_state_dict(maps.state_dict())
    images = torch.randn(2, 3, 50, 70)

    for feature, mean in zip(maps(images), pooled(images), strict=True):
        assert mean.shape == feature.shape[:2]
        assert torch.allclose(mean, feature.mean(dim=(2, 3)), atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (96, 48)])
@pytest.mark.parametrize("masked", [False, True])
def test_a_mask_of_one_image_only_changes_nothing(build_backbone, size, masked):
    backbone, images = build_backbone().eval(), torch.randn(2, 3, *size)
    mask = torch.full((1, size[0] // 16, size[1] // 16), masked)

    tokens = backbone.forward_mixed(images, mask)

    (featmap,) = backbone(images)
    assert torch.allclose(tokens, featmap.flatten(2).transpose(1, 2), atol=1e-5)


def test_masks_per_image_equal_images_one_by_one(build_backbone):
    backbone, images = build_backbone().eval(), torch.randn(3, 3, 64, 64)
    masks = torch.rand(3, 4, 4) < 0.5

    together = backbone.forward_mixed(images, masks)

    for image in range(3):
        part = slice(image, image + 1)
        alone = backbone.forward_mixed(images[part], masks[part])
        assert torch.allclose(together[part], alone, atol=1e-5)


def test_inverting_the_mask_changes_nothing(build_backbone):
    backbone, images = build_backbone().eval(), torch.randn(1, 3, 64, 64)
    mask = torch.rand(1, 4, 4) < 0.5

    tokens = backbone.forward_mixed(images, mask)

    assert torch.allclose(tokens, backbone.forward_mixed(images, ~mask), atol=1e-6)


@pytest.mark.parametrize("size", [(60, 64), (64, 72)])
def test_mixed_images_must_be_multiples_of_the_encoder_stride(build_backbone, size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}.*stride 16"):
        build_backbone().forward_mixed(torch.randn(1, 3, *size), torch.zeros(1, 4, 4).bool())


@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 4, 4), (4, 4), (1, 1, 4, 4), (1, 16)])
def test_a_mask_that_does_not_fit_the_images_is_refused(build_backbone, shape):
    with pytest.raises(ValueError, match=re.escape(f"mask of shape {shape}")):
        build_backbone().forward_mixed(torch.randn(2, 3, 64, 64), torch.zeros(shape).bool())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(arch="gigantic"), r"arch='gigantic' is unknown; choose one of \['tiny'"),
        (dict(arch=""), "arch='' is unknown"),
        (dict(arch=dict(depths=(1, 1))), r"arch=\{'depths': \(1, 1\)\} must have exactly the keys"),
        (dict(img_size=60), r"img_size=\(60, 60\).*encoder stride 16"),
        (dict(img_size=(64, 72)), r"img_size=\(64, 72\)"),
        (dict(img_size=0), r"img_size=\(0, 0\)"),
        (dict(patch_size=8, img_size=48), r"img_size=\(48, 48\).*stride 32"),
        (dict(out_type="cls_token"), "out_type='cls_token'"),
        (dict(out_indices=(3,)), r"out_indices=\(3,\).*-3 and 2"),
        (dict(out_indices=(-4,)), r"out_indices=\(-4,\)"),
        (dict(out_indices=(0, 0)), r"out_indices=\(0, 0\).*distinct"),
        (dict(out_indices=(2, -1)), r"out_indices=\(2, -1\).*distinct"),
        (dict(out_indices=()), r"out_indices=\(\)"),
        (dict(frozen_stages=4), "frozen_stages=4.*-1 and 3"),
        (dict(frozen_stages=-2), "frozen_stages=-2"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_and_value(build_backbone, changes, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(**changes)


def test_an_unknown_key_of_arch_is_refused(build_backbone, backbone_config):
    arch = backbone_config["arch"] | dict(heads=3)

    with pytest.raises(ValueError, match=r"arch=.*'heads': 3.*exactly the keys"):
        build_backbone(arch=arch)


@pytest.mark.parametrize("value", [(1, 2), (1, 2, 4, 8)])
def test_numbers_per_stage_must_agree_with_the_depths(build_backbone, backbone_config, value):
    arch = backbone_config["arch"] | dict(num_heads=value)

    with pytest.raises(ValueError, match=r"arch\['num_heads'\]=.*must list 3"):
        build_backbone(arch=arch)


def test_one_number_of_heads_for_all_stages_is_refused(build_backbone, backbone_config):
    arch = backbone_config["arch"] | dict(num_heads=2)

    with pytest.raises(ValueError, match="num_heads"):
        build_backbone(arch=arch)


def test_a_width_that_the_heads_do_not_divide_is_refused(build_backbone, backbone_config):
    arch = backbone_config["arch"] | dict(num_heads=(3, 3, 3))

    with pytest.raises(ValueError, match="num_heads"):
        build_backbone(arch=arch)


@pytest.mark.parametrize("frozen_stages", [0, 1, 2, 3])
def test_frozen_stages_get_no_gradient_and_stay_in_evaluation(build_backbone, frozen_stages):
    backbone = build_backbone(frozen_stages=frozen_stages, drop_path_rate=0.5)

    backbone.train()
    loss, _ = loss_and_gradients(backbone, torch.randn(2, 3, 64, 64))

    assert math.isfinite(loss)
    frozen = ["patch_embed", "pos_drop", *(f"stages.{index}" for index in range(frozen_stages))]
    for name, parameter in backbone.named_parameters():
        is_frozen = name.startswith(tuple(part + "." for part in frozen))
        assert parameter.requires_grad != is_frozen, name
        assert (parameter.grad is None) == is_frozen, name
    for name, module in backbone.named_modules():
        is_frozen = any(name == part or name.startswith(part + ".") for part in frozen)
        assert module.training != is_frozen, name


def test_nothing_is_frozen_by_default(build_backbone):
    backbone = build_backbone().train()

    assert all(parameter.requires_grad for parameter in backbone.parameters())
    assert all(module.training for module in backbone.modules())


@pytest.mark.parametrize("frozen_stages", [-1, 1])
def test_gradient_checkpointing_keeps_loss_and_gradients(build_backbone, frozen_stages):
    plain = build_backbone(frozen_stages=frozen_stages).train()
    checkpointed = build_backbone(frozen_stages=frozen_stages, with_cp=True).train()
    checkpointed.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 50, 70)

    loss, gradients = loss_and_gradients(plain, images)
    loss_checkpointed, gradients_checkpointed = loss_and_gradients(checkpointed, images)

    assert loss_checkpointed == loss
    for name, gradient in gradients.items():
        if gradient is None:
            assert gradients_checkpointed[name] is None
        else:
            assert torch.allclose(gradients_checkpointed[name], gradient, atol=1e-7), name


@pytest.mark.parametrize("with_cp", [False, True])
def test_gradient_checkpointing_runs_every_block_a_second_time(build_backbone, with_cp):
    backbone = build_backbone(with_cp=with_cp)
    calls = []
    blocks = [block for stage in backbone.stages for block in stage.blocks]
    for block in blocks:
        block.register_forward_pre_hook(lambda block, _: calls.append(block))

    loss_and_gradients(backbone, torch.randn(1, 3, 64, 64))

    assert len(calls) == len(blocks) * (2 if with_cp else 1)


def test_checkpointing_works_on_mixed_images(build_backbone):
    plain, checkpointed = build_backbone(), build_backbone(with_cp=True)
    checkpointed.load_state_dict(plain.state_dict())
    images, mask = torch.randn(2, 3, 64, 64), torch.rand(1, 4, 4) < 0.5

    for backbone in (plain, checkpointed):
        backbone.forward_mixed(images, mask).square().sum().backward()

    for (name, expected), (_, got) in zip(
        plain.named_parameters(), checkpointed.named_parameters(), strict=True
    ):
        if expected.grad is None:
            assert got.grad is None
        else:
            assert torch.allclose(got.grad, expected.grad, atol=1e-5), name


def test_depths_for_layer_decay_follow_the_blocks(build_backbone):
    backbone = build_backbone(out_indices=(0, 1, 2))
    depths = backbone.depths

    def depth(name):
        return backbone.get_layer_depth(name)[0]

    assert depth("patch_embed.proj.weight") == 0
    block_depths = [
        depth(f"stages.{stage}.blocks.{block}.norm1.weight")
        for stage in range(3)
        for block in range(depths[stage])
    ]
    assert block_depths == list(range(1, sum(depths) + 1))
    for stage in (1, 2):
        first_block = depth(f"stages.{stage}.blocks.0.norm1.weight")
        assert depth(f"stages.{stage}.downsample.norm.weight") == first_block
    assert depth("norm.weight") == depth(f"stages.2.blocks.{depths[2] - 1}.norm1.weight")


def test_every_parameter_has_a_layer_depth_in_range(build_backbone):
    backbone = build_backbone(out_indices=(0, 1, 2))

    for name, _ in backbone.named_parameters():
        depth, count = backbone.get_layer_depth(name)
        assert count == sum(backbone.depths) + 2
        assert 0 <= depth < count - 1
        assert backbone.get_layer_depth("backbone." + name, "backbone.") == (depth, count)


def test_stochastic_depth_grows_linearly_to_its_last_block(build_backbone):
    backbone = build_backbone(drop_path_rate=0.3)

    rates = [block.drop_path.p for stage in backbone.stages for block in stage.blocks]

    last = len(rates) - 1
    assert rates == pytest.approx([0.3 * index / last for index in range(last + 1)])


def test_a_checkpoint_of_the_same_size_gives_identical_features(build_backbone):
    saved, loaded = build_backbone().eval(), build_backbone().eval()
    images = torch.randn(1, 3, 50, 70)
    assert not torch.equal(saved(images)[0], loaded(images)[0])

    loaded.load_state_dict(saved.state_dict())

    assert torch.equal(saved(images)[0], loaded(images)[0])


@pytest.mark.parametrize("img_size", [128, (96, 32)])
def test_a_checkpoint_of_another_image_size_keeps_features(build_backbone, img_size):
    # one encoder resizes the position embedding in the forward pass, the other on loading
    window = {} if "PVT" in type(build_backbone()).__name__ else dict(window_size=2)
    saved = build_backbone(**window).eval()
    loaded = build_backbone(img_size=img_size, **window).eval()

    loaded.load_state_dict(saved.state_dict())

    images = torch.randn(1, 3, *loaded.img_size)
    assert torch.allclose(loaded(images)[0], saved(images)[0], atol=1e-5)


def test_loading_leaves_the_callers_state_dict_as_it_was(build_backbone):
    state = build_backbone().state_dict()
    shapes = {name: value.shape for name, value in state.items()}

    build_backbone(img_size=128).load_state_dict(state)

    assert {name: value.shape for name, value in state.items()} == shapes


def test_rectangular_images_have_rectangular_grids(build_backbone):
    backbone = build_backbone(img_size=(32, 96))

    assert [info.grid for info in backbone.stages_info()] == [(8, 24), (4, 12), (2, 6)]
    tokens = backbone.forward_mixed(torch.randn(2, 3, 32, 96), torch.rand(1, 2, 6) < 0.5)
    assert tokens.shape == (2, 12, 32)


def test_building_does_not_change_the_config(backbone_config):
    before = repr(backbone_config)

    MODELS.build(backbone_config)

    assert repr(backbone_config) == before


def test_weights_start_as_xavier_with_zero_biases(build_backbone):
    for module in build_backbone().modules():
        if isinstance(module, nn.Linear):
            bound = math.sqrt(6 / (module.in_features + module.out_features))
            assert module.weight.abs().max() <= bound
            assert module.bias is None or (module.bias == 0).all()


def test_one_number_applies_to_all_stages(build_backbone):
    backbone = build_backbone()

    assert backbone.per_stage("window_size", 5) == (5, 5, 5)
    assert backbone.per_stage("window_size", [3, 2, 1]) == (3, 2, 1)


@pytest.mark.parametrize("value", [0, (1, 2), (1, 2, 0), (), (1, 2, 3, 4)])
def test_numbers_per_stage_are_checked(build_backbone, value):
    with pytest.raises(ValueError, match=rf"window_size={re.escape(str(value))}"):
        build_backbone().per_stage("window_size", value)


def test_a_subclass_must_implement_embed():
    class Unfinished(HierarchicalBackbone):
        arch_settings = {"tiny": dict(depths=(1, 1), embed_dims=8)}

    backbone = Unfinished(arch="t", img_size=64)

    with pytest.raises(NotImplementedError):
        backbone(torch.randn(1, 3, 64, 64))

import copy
import re

import pytest
import torch
from tiny_models import TINY_BACKBONES
from torch import nn

from mim_plugins.backbones import HierarchicalBackbone
from mim_plugins.errors import ConfigError


@pytest.fixture(params=TINY_BACKBONES)
def config(request):
    return copy.deepcopy(TINY_BACKBONES[request.param])


def test_every_returned_map_is_normalized(build):
    for feature in build(out_indices=(0, 1, 2))(torch.randn(1, 3, 64, 64)):
        assert torch.allclose(feature.mean(dim=1), torch.zeros(()), atol=1e-5)
        variance = feature.var(dim=1, unbiased=False)
        assert torch.allclose(variance, torch.ones(()), atol=1e-2)


def test_pooled_features_are_the_mean_of_the_maps(build):
    maps, pooled = build(out_indices=(1, 2)), build(out_indices=(1, 2), out_type="avg_featmap")
    pooled.load_state_dict(maps.state_dict())
    images = torch.randn(2, 3, 50, 70)
    for feature, mean in zip(maps(images), pooled(images), strict=True):
        assert mean.shape == feature.shape[:2]
        assert torch.allclose(mean, feature.mean(dim=(2, 3)), atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (96, 48)])
@pytest.mark.parametrize("masked", [False, True])
def test_a_mask_of_one_image_only_changes_nothing(build, size, masked):
    backbone, images = build(), torch.randn(2, 3, *size)
    tokens = backbone.forward_mixed(images, torch.full((1, size[0] // 16, size[1] // 16), masked))
    (featmap,) = backbone(images)
    assert torch.allclose(tokens, featmap.flatten(2).transpose(1, 2), atol=1e-5)


def test_masks_per_image_equal_images_one_by_one(build):
    backbone, images, masks = build(), torch.randn(3, 3, 64, 64), torch.rand(3, 4, 4) < 0.5
    together = backbone.forward_mixed(images, masks)
    for image in range(3):
        part = slice(image, image + 1)
        alone = backbone.forward_mixed(images[part], masks[part])
        assert torch.allclose(together[part], alone, atol=1e-5)


def test_inverting_the_mask_changes_nothing(build):
    backbone, images, mask = build(), torch.randn(1, 3, 64, 64), torch.rand(1, 4, 4) < 0.5
    tokens = backbone.forward_mixed(images, mask)
    assert torch.allclose(tokens, backbone.forward_mixed(images, ~mask), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 4, 4), (4, 4), (1, 1, 4, 4), (1, 16)])
def test_a_mask_that_does_not_fit_the_images_is_refused(build, shape):
    with pytest.raises(ValueError, match=re.escape(f"mask of shape {shape}")):
        build().forward_mixed(torch.randn(2, 3, 64, 64), torch.zeros(shape).bool())


def test_the_stride_of_the_first_stage_sets_that_of_the_encoder(build):
    assert build(patch_size=8, img_size=48).encoder_stride == 32


@pytest.mark.parametrize(
    ("heads", "message"),
    [((1, 2), "must list 3"), ((1, 2, 4, 8), "must list 3"), (2, "")],
)
def test_heads_are_listed_per_stage(build, config, heads, message):
    with pytest.raises(ValueError, match=rf"arch\['num_heads'\]=.*{message}"):
        build(arch=config["arch"] | dict(num_heads=heads))


def test_depths_for_layer_decay_follow_the_blocks(build):
    backbone = build(out_indices=(0, 1, 2))
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
    for name, _ in backbone.named_parameters():
        depth, count = backbone.get_layer_depth(name)
        assert count == sum(depths) + 2
        assert 0 <= depth < count - 1
        assert backbone.get_layer_depth("backbone." + name, "backbone.") == (depth, count)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_depths_need_the_lists_of_all_blocks(build, stage):
    backbone = build()
    module, depth = backbone.stages[stage], backbone.depths[stage]
    name = f"stages.{stage}.layers.0.norm1.weight"
    first = backbone.layer_depth(f"stages.{stage}.blocks.0.norm1.weight")
    module.layers = module.blocks
    del module.blocks
    if depth == 1:
        assert backbone.layer_depth(name) == first
        return
    for blocks in (None, module.layers[:1], nn.ModuleDict()):
        module.blocks = blocks
        text = rf"stages\[{stage}\].blocks contains .* require {depth}.* or override layer_depth"
        with pytest.raises(ConfigError, match=text):
            backbone.layer_depth(name)
    del module.blocks
    vars(module)["blocks"] = nn.Sequential(*module.layers)  # as a property that makes the list
    with pytest.raises(ConfigError, match=text):
        backbone.layer_depth(name)


def test_other_parts_have_the_depth_of_the_embedding(build):
    names = ("stem.0.weight", "cls_token", "patch_embed.proj.weight")
    assert {build().layer_depth(name) for name in names} == {0}


def test_rectangular_images_have_rectangular_grids(build):
    backbone = build(img_size=(32, 96))
    assert [info.grid for info in backbone.stages_info()] == [(8, 24), (4, 12), (2, 6)]
    tokens = backbone.forward_mixed(torch.randn(2, 3, 32, 96), torch.rand(1, 2, 6) < 0.5)
    assert tokens.shape == (2, 12, 32)


def test_one_number_applies_to_all_stages(build):
    assert build().per_stage("window_size", 5) == (5, 5, 5)
    assert build().per_stage("window_size", [3, 2, 1]) == (3, 2, 1)


@pytest.mark.parametrize("value", [0, (1, 2), (1, 2, 0), (), (1, 2, 3, 4)])
def test_numbers_per_stage_are_checked(build, value):
    with pytest.raises(ValueError, match=rf"window_size={re.escape(str(value))}"):
        build().per_stage("window_size", value)


def test_a_subclass_must_implement_embed():
    class Unfinished(HierarchicalBackbone):
        arch_settings = {"tiny": dict(depths=(1, 1), embed_dims=8)}

    with pytest.raises(NotImplementedError):
        Unfinished(arch="t", img_size=64)(torch.randn(1, 3, 64, 64))

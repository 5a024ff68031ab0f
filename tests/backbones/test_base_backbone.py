"""Properties of all encoders."""

import io
import math

import pytest
import torch
from torch import nn

from mim_plugins.backbones import HierarchicalBackbone, MaskedConvViT, MaskedPVT, MaskedSwin
from mim_plugins.backbones.base_backbone import BaseBackbone, StageInfo
from mim_plugins.registry import MODELS


def channels_and_strides(backbone):
    """Return (C, stride) of each of the three outputs."""
    if isinstance(backbone, HierarchicalBackbone):
        return (8, 4), (16, 8), (32, 16)
    return ((8, 4), (12, 8), (16, 16)) if isinstance(backbone, MaskedConvViT) else ((16, 16),) * 3


def test_arguments_are_keywords_only():
    with pytest.raises(TypeError, match="positional"):
        BaseBackbone("base", 224)


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (33, 100), (7, 5)])
def test_maps_have_the_stride_of_their_stage_on_any_image_size(build, size):
    backbone = build(out_indices=(0, 1, 2))
    features = backbone(torch.randn(2, 3, *size))
    for feature, (channels, stride) in zip(features, channels_and_strides(backbone), strict=True):
        # plain encoders pad images to whole tokens of the last stage
        unit = stride if isinstance(backbone, HierarchicalBackbone) else 16
        grid = [math.ceil(side / unit) * unit // stride for side in size]
        assert feature.shape == (2, channels, *grid)
        assert feature.isfinite().all()
        assert feature.is_contiguous()


def test_stages_info_lists_the_stages(build):
    backbone = build(img_size=(64, 96))
    sizes = channels_and_strides(backbone)[-len(backbone.depths) :]
    assert backbone.stages_info() == [
        StageInfo(stride, (64 // stride, 96 // stride), channels, blocks)
        for (channels, stride), blocks in zip(sizes, backbone.depths, strict=True)
    ]
    assert backbone.stages_info((40, 33))[-1].grid == (3, 3)


def test_out_indices_determine_the_returned_maps_and_order(build):
    images, all_maps = torch.randn(1, 3, 64, 64), build(out_indices=(0, 1, 2))
    chosen = build(out_indices=(-1, 0))
    chosen.load_state_dict(all_maps.state_dict(), strict=False)
    last, first = chosen(images)
    assert torch.equal(last, all_maps(images)[2])
    assert torch.equal(first, all_maps(images)[0])


def test_only_intermediate_stages_have_extra_norms(build):
    def norms(**changes):
        return set(getattr(build(**changes), "out_norms", ()))

    stages = {"0", "1"} if len(build().depths) == 3 else set()
    assert norms() == set()
    assert norms(out_indices=(0, 1, 2)) == stages
    assert norms(out_indices=(1, -1)) == stages - {"0"}


def test_equal_content_at_other_places_has_other_features(build):
    (feature,) = build()(torch.ones(1, 3, 96, 96))
    for row, col in [(2, 3), (3, 2), (3, 3)]:  # interior positions, without padding
        assert not torch.allclose(feature[..., 2, 2], feature[..., row, col], atol=1e-3)


def test_a_checkpoint_of_the_same_size_gives_identical_features(build):
    saved, loaded, images = build(), build(), torch.randn(1, 3, 50, 70)
    assert not torch.equal(saved(images)[0], loaded(images)[0])
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(saved(images)[0], loaded(images)[0])


@pytest.mark.parametrize("img_size", [128, (96, 32)])
def test_a_checkpoint_of_another_image_size_keeps_features(build, config, img_size):
    # one encoder resizes the position embedding in the forward pass, the other on loading
    window = dict(window_size=2) if "Swin" in config["type"] else {}
    saved, loaded = build(**window), build(img_size=img_size, **window)
    state = saved.state_dict()
    before = {name: value.shape for name, value in state.items()}
    loaded.load_state_dict(state)
    images = torch.randn(1, 3, *loaded.img_size)
    assert torch.allclose(loaded(images)[0], saved(images)[0], atol=1e-5)
    assert {name: value.shape for name, value in state.items()} == before


def test_position_embeddings_are_fixed_and_saved(build):
    backbone = build()
    assert not any("pos_embed" in name for name, _ in backbone.named_parameters())
    if isinstance(backbone, MaskedPVT):
        expected = [(1, 16, 16, 8), (1, 8, 8, 16), (1, 4, 4, 32)]
    else:
        expected = [(1, 16, 16, 8) if isinstance(backbone, MaskedSwin) else (1, 6, 6, 16)]
    state = backbone.state_dict()
    assert [tuple(state[name].shape) for name in state if "pos_embed" in name] == expected


def test_linear_maps_start_as_xavier_with_zero_biases(build):
    for module in build().modules():
        if isinstance(module, nn.Linear):
            bound = math.sqrt(6 / (module.in_features + module.out_features))
            assert 0.9 * bound < module.weight.abs().max() <= bound
            assert module.bias is None or (module.bias == 0).all()


def test_other_channels_of_the_image_are_possible(build):
    backbone = build(in_channels=1)
    assert backbone(torch.randn(1, 1, 64, 64))[0].shape[2:] == (4, 4)


@pytest.mark.parametrize("img_size", [60, (64, 75), (33, 64)])
def test_images_of_any_size_are_encoded_without_pre_training(build, img_size):
    backbone = build(img_size=img_size).eval()
    images = torch.randn(1, 3, *backbone.img_size)
    grid = backbone.stages_info()[-1].grid
    with torch.no_grad():
        features = backbone(images)[0]
    assert tuple(features.shape[2:]) == grid == tuple(-(-side // 16) for side in images.shape[2:])
    assert build(img_size=64).load_state_dict(backbone.state_dict())


def test_building_does_not_change_the_config(config):
    before = repr(config)
    MODELS.build(config)
    assert repr(config) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(arch="gigantic"), r"arch='gigantic' is unknown; choose one of \['"),
        (dict(arch=dict(depths=(1, 1))), r"arch=\{'depths': \(1, 1\)\} must have exactly the keys"),
        (dict(img_size=0), r"img_size=\(0, 0\)"),
        (dict(img_size=(64, -8)), r"img_size=\(64, -8\)"),
        (dict(in_channels=0), "in_channels=0"),
        (dict(out_type="cls_token"), "out_type='cls_token'"),
        (dict(out_indices=(3,)), r"out_indices=\(3,\).*-3 and 2"),
        (dict(out_indices=(0, 0)), r"out_indices=\(0, 0\).*distinct"),
        (dict(frozen_stages=-2), "frozen_stages=-2"),
        (dict(drop_path_rate=1.5), r"drop_path_rate=1\.5 .* from 0 to 1"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_and_value(build, changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_an_unknown_key_of_arch_is_refused(build, config):
    with pytest.raises(ValueError, match=r"arch=.*'heads': 3.*exactly the keys"):
        build(arch=config["arch"] | dict(heads=3))


def test_a_width_that_the_heads_do_not_divide_is_refused(build, config):
    heads = config["arch"]["num_heads"]
    three = 3 if isinstance(heads, int) else (3, 3, 3)
    name = config["type"].removeprefix("mim_plugins.")
    with pytest.raises(ValueError, match=rf"{name}: .*16.*num_heads=\(3"):
        build(arch=config["arch"] | dict(num_heads=three))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_saved_trace_computes_the_same_features(build):
    backbone, images = build(), torch.randn(2, 3, 64, 64)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(backbone, images, check_trace=False), file)
    file.seek(0)
    for found, expected in zip(torch.jit.load(file)(images), backbone(images), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)

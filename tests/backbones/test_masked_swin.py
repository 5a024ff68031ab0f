import itertools

import pytest
import torch
from tiny_swin import influence_on, swin
from torch import nn

from mim_plugins.backbones import MaskedSwin
from mim_plugins.layers import TokenGroups, resize_relative_position_bias


@pytest.mark.parametrize(
    ("arch", "millions"),
    [("tiny", 27.5), ("small", 48.8), ("base", 86.9), ("large", 195.0),
     ("b", 86.9), ("BASE", 86.9)],
)  # fmt: skip
def test_published_sizes(arch, millions):
    with torch.device("meta"):
        backbone = MaskedSwin(arch=arch)
    count = sum(parameter.numel() for parameter in backbone.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.5)


def test_the_default_is_the_published_encoder():
    with torch.device("meta"):
        backbone = MaskedSwin()
    assert backbone.depths == (2, 2, 18, 2)
    assert backbone.stage_channels == (128, 256, 512, 1024)
    assert [stage.blocks[0].attn.window for stage in backbone.stages] == [14, 14, 14, 7]
    assert not any(block.shifted for stage in backbone.stages for block in stage.blocks)


@pytest.mark.parametrize("window_size", [0, (7, 7), (7, -1), ()])
def test_window_sizes_are_one_positive_number_or_one_per_stage(window_size):
    with pytest.raises(ValueError, match="window_size="):
        swin(1, window=window_size)


def test_windows_larger_than_the_grid_are_reduced_to_it():
    backbone = swin(1, 1, window=7)
    assert [stage.blocks[0].attn.window for stage in backbone.stages] == [7, 4]
    assert len(backbone.stages[1].blocks[0].attn.relative_position_bias_table) == 49


@pytest.mark.parametrize("shift", [False, True])
def test_only_shifted_windows_cross_window_borders(shift):
    backbone = swin(2, window=4, shift_windows=shift)
    influence = influence_on(backbone, (3, 3))
    # token (3, 3) is the last of the first window; (4, 4) is the first of the last window
    assert influence[:4, :4].all()
    assert bool(influence[4, 4]) is shift
    assert bool(influence[7, 7]) is shift  # through (4, 4) in the block before


def test_shifted_windows_separate_opposite_image_borders():
    influence = influence_on(swin(2, window=4, shift_windows=True), (0, 0))
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:4, :4] = True
    assert torch.equal(influence, expected)


def test_only_every_second_block_is_shifted():
    blocks = swin(4, window=4, shift_windows=True).stages[0].blocks
    assert [block.shifted for block in blocks] == [False, True, False, True]


def test_image_mask_and_shift_act_together():
    backbone = swin(2, window=4, shift_windows=True)
    mask = torch.rand(1, 8, 8) < 0.5
    mask[0, 3, 3] = False
    influence = influence_on(backbone, (3, 3), mask=mask)
    assert not influence[mask[0]].any()
    assert influence[:4, :4].sum() == (~mask[0, :4, :4]).sum()
    assert influence[4:, 4:].any()


@pytest.mark.parametrize("masks", [1, 3])
@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)], ids=["f32", "bf16"]
)
def test_attention_in_groups_equals_masked_attention(monkeypatch, masks, shift, dtype, tolerance):
    backbone = swin(2, 2, window=(4, 7), img_size=56, shift_windows=shift).train()
    for name, parameter in backbone.named_parameters():
        if "bias_table" in name:
            nn.init.normal_(parameter)
    images, weight = torch.randn(3, 3, 56, 56), torch.randn(3, 49, 16)
    # the images share windows in different proportions: a corner, a row or all of a window
    mask = torch.zeros(masks, 7, 7, dtype=torch.bool)
    mask[:, :4, :3] = True
    mask[-1, 6, 6] = True
    blocks = []
    make = TokenGroups.from_group_ids

    def remember(*args):
        groups = make(*args)
        blocks.append(groups and groups.blocks)
        return groups

    def run(of):
        monkeypatch.setattr(TokenGroups, "from_group_ids", of)
        backbone.zero_grad()
        pixels = images.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            output = backbone.forward_mixed(pixels, mask)
        (output.float() * weight).sum().backward()
        return [output, pixels.grad, *(p.grad.clone() for p in backbone.parameters())]

    found, expected = run(remember), run(lambda *_: None)

    assert masks > 1 or max(map(len, filter(None, blocks))) > 2  # sizes differ between windows
    for ours, theirs in zip(found, expected, strict=True):
        difference = (ours.double() - theirs.double()).norm()
        assert difference <= tolerance * theirs.double().norm() + 1e-12


@pytest.mark.parametrize("size", [(24, 40), (20, 20), (8, 36), (32, 32)])
def test_padding_of_windows_has_no_influence(size):
    backbone = swin(1, window=4)
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter)
    (block,) = backbone.stages[0].blocks
    images = torch.randn(1, 3, *size)

    (feature,) = backbone(images)

    # reference: window by window, with smaller windows at the border
    x = backbone.embed(images)
    expected = torch.empty_like(x)
    for row, col in itertools.product(range(0, x.shape[1], 4), range(0, x.shape[2], 4)):
        area = (slice(None), slice(row, row + 4), slice(col, col + 4))
        tokens = x[area]
        window = (tokens.shape[1], tokens.shape[2])
        output = block(tokens.flatten(1, 2)[:, None], window)
        expected[area] = output.reshape(tokens.shape)
    expected = backbone.norm(expected).permute(0, 3, 1, 2)
    assert torch.allclose(feature, expected, atol=1e-4)


def test_blocks_are_pre_norm_residual():
    backbone = swin(1, window=8)
    (block,) = backbone.stages[0].blocks
    images = torch.randn(1, 3, 32, 32)

    (feature,) = backbone(images)

    x = backbone.patch_embed(images) + backbone.pos_embed
    x = x.flatten(1, 2)[:, None]
    x = x + block.attn(block.norm1(x), (8, 8))
    x = x + block.mlp(block.norm2(x))
    expected = backbone.norm(x).reshape(1, 8, 8, 8).permute(0, 3, 1, 2)
    assert torch.allclose(feature, expected, atol=1e-5)


def test_a_checkpoint_of_other_windows_is_resized_when_loaded():
    saved, loaded = swin(1, window=4), swin(1, window=8)
    loaded.load_state_dict(saved.state_dict())
    name = "stages.0.blocks.0.attn.relative_position_bias_table"
    expected = resize_relative_position_bias(saved.state_dict()[name], 8)
    assert torch.equal(loaded.state_dict()[name], expected)
    assert loaded(torch.randn(1, 3, 32, 32))[0].isfinite().all()


@pytest.mark.parametrize("name", ["drop_rate", "attn_drop_rate", "drop_path_rate"])
def test_dropout_acts_in_training_only(name):
    backbone = swin(2, window=4, **{name: 0.5})
    images = torch.randn(16, 3, 32, 32)  # two samples of so many paths are never equal
    assert torch.equal(backbone(images)[0], backbone(images)[0])
    backbone.train()
    assert not torch.equal(backbone(images)[0], backbone(images)[0])


@pytest.mark.parametrize("name", ["drop_rate", "attn_drop_rate"])
def test_a_wrong_rate_of_dropout_is_refused(name):
    with pytest.raises(ValueError, match=rf"MaskedSwin: {name}=1\.5 .* from 0 to 1"):
        swin(2, window=4, **{name: 1.5})

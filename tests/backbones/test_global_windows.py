"""Attention over the whole image in MaskedSwin."""

import pytest
import torch
from tiny_swin import influence_on, swin
from torch import nn

from mim_plugins.backbones import MaskedSwin
from mim_plugins.layers import resize_relative_position_bias


@pytest.mark.parametrize("size", [(32, 32), (24, 32), (8, 20), (30, 26)])
@pytest.mark.parametrize("with_cp", [False, True])
def test_global_attention_is_a_window_that_covers_the_grid(size, with_cp):
    windowed, attending_globally = swin(2, window=8), swin(2, window="global", with_cp=with_cp)
    attending_globally.load_state_dict(windowed.state_dict())
    nn.init.normal_(windowed.stages[0].blocks[0].attn.relative_position_bias_table)
    attending_globally.load_state_dict(windowed.state_dict())
    images = torch.randn(2, 3, *size)
    (expected,), (found,) = windowed(images), attending_globally(images)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 64), (61, 35), (20, 48)])
def test_global_attention_reaches_every_token_of_any_input(size):
    influence = influence_on(swin(1, window="global"), (0, 0), size)
    assert influence.all()
    assert not influence_on(swin(1, window=4), (0, 0), size).all()


@pytest.mark.parametrize("grid", [(8, 16), (15, 9), (5, 12)])
def test_global_attention_resizes_its_table_at_run_time(grid):
    backbone = swin(1, window="global")
    attention = backbone.stages[0].blocks[0].attn
    nn.init.normal_(attention.relative_position_bias_table)

    bias = attention.relative_position_bias(grid)[0][0, 0].unflatten(1, grid).unflatten(3, grid)

    rows, cols = max(grid[0], 8), max(grid[1], 8)
    table = resize_relative_position_bias(attention.relative_position_bias_table, (rows, cols))
    table = table.unflatten(0, (2 * rows - 1, 2 * cols - 1))
    for query, key in [((0, 0), (4, 7)), ((3, 5), (1, 2)), ((4, 8), (0, 0))]:
        offset = (query[0] - key[0] + rows - 1, query[1] - key[1] + cols - 1)
        assert torch.equal(bias[:, query[0], query[1], key[0], key[1]], table[offset])


def test_global_attention_may_be_chosen_per_stage():
    backbone = swin(1, 1, window=(4, "global"), out_indices=(0, 1))
    images = torch.randn(1, 3, 96, 64)
    changed = images.clone()
    changed[:, :, 64:] = 0

    first, last = backbone(images)
    first_changed, last_changed = backbone(changed)

    assert torch.equal(first[:, :, :16], first_changed[:, :, :16])
    assert not torch.isclose(last, last_changed).all(dim=1).any()
    assert [stage.blocks[0].attn.window for stage in backbone.stages] == [4, 4]


@pytest.mark.parametrize("with_cp", [False, True])
def test_global_attention_keeps_mixed_images_apart(with_cp):
    backbone = swin(2, window="global", with_cp=with_cp)
    mask = torch.rand(1, 16, 10) < 0.5
    mask[0, 3, 3] = False
    influence = influence_on(backbone, (3, 3), size=(64, 40), mask=mask)
    assert torch.equal(influence, ~mask[0])


def test_global_attention_is_not_shifted_and_learns_its_table():
    backbone = swin(2, window="global", shift_windows=True, img_size=16)
    plain = swin(2, window="global", img_size=16)
    plain.load_state_dict(backbone.state_dict())
    images = torch.randn(1, 3, 40, 24)

    (found,) = backbone(images)
    (found * torch.randn_like(found)).sum().backward()

    assert torch.equal(found, plain(images)[0])
    for block in backbone.stages[0].blocks:
        assert block.attn.relative_position_bias_table.grad.abs().sum() > 0


@pytest.mark.parametrize("window", ["all", ("global", "global")])
def test_an_unknown_window_keyword_is_refused(window):
    with pytest.raises(ValueError, match=r"window_size=.*'global'"):
        swin(1, window=window)


def test_listed_blocks_attend_over_the_whole_image():
    def build(**changes):
        arch = dict(embed_dims=8, depths=(1, 3), num_heads=(1, 1))
        return MaskedSwin(arch, img_size=64, window_size=4, **changes).eval()

    windowed, mixed = build(), build(global_blocks=(2,))  # the second block of the second stage
    images = torch.randn(1, 3, 64, 64)
    changed = images.clone()
    changed[:, :, 32:] = 0

    def top_rows_change(encoder):
        return not torch.equal(encoder(images)[0][:, :, :4], encoder(changed)[0][:, :, :4])

    assert not top_rows_change(windowed)
    assert top_rows_change(mixed)
    globally = [block.attends_globally for stage in mixed.stages for block in stage.blocks]
    assert globally == [False, False, True, False]


@pytest.mark.parametrize("img_size", [32, 64])
def test_a_global_bias_is_resized_on_loading_or_in_use(img_size):
    arch = dict(embed_dims=8, depths=(2,), num_heads=(1,))
    pretrained = MaskedSwin(arch, img_size=32, window_size=8)
    larger = MaskedSwin(arch, img_size=img_size, window_size=8, global_blocks=(-1,))

    larger.load_state_dict(pretrained.state_dict())

    table = larger.stages[0].blocks[-1].attn.relative_position_bias_table
    assert len(table) == (2 * img_size // 4 - 1) ** 2
    bias = larger.stages[0].blocks[-1].attn.relative_position_bias((16, 16))
    expected = pretrained.stages[0].blocks[-1].attn.relative_position_bias((16, 16))
    torch.testing.assert_close(bias, expected)


def test_global_blocks_beyond_the_last_one_are_refused():
    with pytest.raises(ValueError, match=r"global_blocks=\(24,\) must be distinct and between"):
        MaskedSwin(global_blocks=(24,))

import itertools

import pytest
import torch

from mim_plugins.backbones import MaskedSwin
from mim_plugins.layers import resize_relative_position_bias


def one_stage(depth, window, shift=False, img_size=32, **changes):
    """One stage of ``depth`` blocks on a grid of img_size / 4."""
    return MaskedSwin(
        arch=dict(embed_dims=8, depths=(depth,), num_heads=(2,)),
        img_size=img_size,
        window_size=window,
        shift_windows=shift,
        **changes,
    ).eval()


def influence_on(backbone, token, size=(32, 32), mask=None):
    """Which tokens' pixels have any influence on the output at ``token``: bool (H / 4, W / 4)."""
    images = torch.randn(1, 3, *size, requires_grad=True)
    if mask is None:
        output = backbone(images)[0][0, :, token[0], token[1]]
    else:
        output = backbone.forward_mixed(images, mask)
        output = output.unflatten(1, tuple(mask.shape[1:]))[0, token[0], token[1]]
    (output * torch.randn_like(output)).sum().backward()
    return images.grad[0].abs().sum(dim=0).unfold(0, 4, 4).unfold(1, 4, 4).sum(dim=(2, 3)) > 0


@pytest.mark.parametrize(
    ("arch", "millions"),
    [
        ("tiny", 27.5),
        ("small", 48.8),
        ("base", 86.9),
        ("large", 195.0),
        ("b", 86.9),
        ("BASE", 86.9),
    ],
)
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
    assert [stage.window for stage in backbone.stages] == [14, 14, 14, 7]
    assert not any(block.shifted for stage in backbone.stages for block in stage.blocks)


@pytest.mark.parametrize("window_size", [0, (7, 7), (7, -1), ()])
def test_window_sizes_are_one_positive_number_or_one_per_stage(window_size):
    with pytest.raises(ValueError, match="window_size="):
        one_stage(1, window_size)


def test_windows_larger_than_the_grid_are_reduced_to_it():
    backbone = MaskedSwin(
        arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 1)), img_size=32, window_size=7
    )

    assert [stage.window for stage in backbone.stages] == [7, 4]
    assert len(backbone.stages[1].blocks[0].attn.relative_position_bias_table) == 49


@pytest.mark.parametrize("shift", [False, True])
def test_only_shifted_windows_see_across_the_border_of_a_window(shift):
    backbone = one_stage(2, window=4, shift=shift)

    seen = influence_on(backbone, (3, 3))

    # token (3, 3) is the last of the first window; (4, 4) is the first of the last window
    assert seen[:4, :4].all()
    assert bool(seen[4, 4]) is shift
    assert bool(seen[7, 7]) is shift  # by way of (4, 4) in the block before


def test_shifted_windows_do_not_join_opposite_borders_of_the_image():
    backbone = one_stage(2, window=4, shift=True)

    seen = influence_on(backbone, (0, 0))

    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:4, :4] = True
    assert torch.equal(seen, expected)


def test_only_every_second_block_is_shifted():
    blocks = one_stage(4, window=4, shift=True).stages[0].blocks

    assert [block.shifted for block in blocks] == [False, True, False, True]


def test_image_mask_and_shift_act_together():
    backbone = one_stage(2, window=4, shift=True)
    mask = torch.rand(1, 8, 8) < 0.5
    mask[0, 3, 3] = False

    seen = influence_on(backbone, (3, 3), mask=mask)

    assert not seen[mask[0]].any()
    assert seen[:4, :4].sum() == (~mask[0, :4, :4]).sum()
    assert seen[4:, 4:].any()


@pytest.mark.parametrize("size", [(24, 40), (20, 20), (8, 36), (32, 32)])
def test_padding_of_windows_has_no_influence(size):
    backbone = one_stage(1, window=4)
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter)
    (block,) = backbone.stages[0].blocks
    images = torch.randn(1, 3, *size)

    (feature,) = backbone(images)

    # the same, window by window, where windows at the border are simply smaller
    x = backbone.embed(images)
    expected = torch.empty_like(x)
    for row, col in itertools.product(range(0, x.shape[1], 4), range(0, x.shape[2], 4)):
        area = (slice(None), slice(row, row + 4), slice(col, col + 4))
        tokens = x[area]
        window = (tokens.shape[1], tokens.shape[2])
        output = block(tokens.flatten(1, 2)[:, None], window, None)
        expected[area] = output.reshape(tokens.shape)
    expected = backbone.norm(expected).permute(0, 3, 1, 2)
    assert torch.allclose(feature, expected, atol=1e-4)


def test_blocks_are_pre_norm_residual():
    backbone = one_stage(1, window=8)
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
    saved, loaded = one_stage(1, window=4), one_stage(1, window=8)

    loaded.load_state_dict(saved.state_dict())

    name = "stages.0.blocks.0.attn.relative_position_bias_table"
    expected = resize_relative_position_bias(saved.state_dict()[name], 8)
    assert torch.equal(loaded.state_dict()[name], expected)
    assert loaded(torch.randn(1, 3, 32, 32))[0].isfinite().all()


def test_the_position_embedding_is_fixed_and_saved():
    backbone = one_stage(1, window=4)

    assert "pos_embed" not in dict(backbone.named_parameters())
    assert backbone.state_dict()["pos_embed"].shape == (1, 8, 8, 8)


@pytest.mark.parametrize("name", ["drop_rate", "attn_drop_rate", "drop_path_rate"])
def test_dropout_acts_in_training_only(name):
    backbone = one_stage(2, window=4, **{name: 0.5})
    images = torch.randn(2, 3, 32, 32)

    assert torch.equal(backbone(images)[0], backbone(images)[0])
    backbone.train()
    assert not torch.equal(backbone(images)[0], backbone(images)[0])


def test_other_numbers_of_channels_are_possible():
    backbone = one_stage(1, window=4, in_channels=1)

    assert backbone(torch.randn(1, 1, 32, 32))[0].shape == (1, 8, 8, 8)

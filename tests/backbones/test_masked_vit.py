import pytest
import torch
from torch import nn

from mim_plugins.backbones import MaskedViT
from mim_plugins.layers import patchify, sincos_position_embedding
from mim_plugins.registry import MODELS


def tiny(**changes):
    arguments = dict(
        arch=dict(depth=3, embed_dims=16, num_heads=2), img_size=48, patch_size=8, mlp_ratio=2
    )
    return MaskedViT(**(arguments | changes)).eval()


def vit_parameters(depth, dim, patch_size=16):
    """Parameters of a ViT with [CLS] token and last norm, without positions and head."""
    norm, attention, feed_forward = 2 * dim, 4 * dim**2 + 4 * dim, 8 * dim**2 + 5 * dim
    patches = 3 * patch_size**2 * dim + dim
    return depth * (2 * norm + attention + feed_forward) + patches + dim + norm


@pytest.mark.parametrize(
    ("arch", "depth", "dim"),
    [("tiny", 12, 192), ("small", 12, 384), ("base", 12, 768), ("large", 24, 1024),
     ("huge", 32, 1280)],
)  # fmt: skip
def test_sizes_are_those_of_vit(arch, depth, dim):
    with torch.device("meta"):
        encoder = MODELS.build(dict(type="mim_plugins.MaskedViT", arch=arch))

    count = sum(parameter.numel() for parameter in encoder.parameters())
    assert count == vit_parameters(depth, dim)


def test_base_has_the_parameters_of_vit_b_but_for_its_learnt_positions():
    with torch.device("meta"):
        encoder = MaskedViT(arch="base")

    count = sum(parameter.numel() for parameter in encoder.parameters())
    assert count + (14 * 14 + 1) * 768 == 85_798_656  # ViT-B/16 without its classifier
    assert [block.attn.num_heads for block in encoder.blocks] == [12] * 12


def test_tokens_are_linear_maps_of_patches():
    encoder, images = tiny(), torch.randn(2, 3, 48, 48)

    tokens, _ = encoder.embed(images, None)

    # the weight of a convolution has its channels first, patches have them last
    weight = encoder.patch_embed.weight.permute(0, 2, 3, 1).reshape(16, -1)
    expected = patchify(images, 8) @ weight.T + encoder.patch_embed.bias
    assert torch.allclose(tokens.flatten(1, 2), expected, atol=1e-5)


def test_blocks_read_the_class_token_and_then_tokens_with_their_positions():
    encoder, images, inputs = tiny(), torch.randn(2, 3, 48, 48), []
    encoder.blocks[0].register_forward_pre_hook(lambda _, args: inputs.append(args[0]))

    encoder(images)

    tokens, _ = encoder.embed(images, None)
    expected = (tokens + sincos_position_embedding(16, (6, 6))).flatten(1, 2)
    assert torch.equal(inputs[0][:, :1], encoder.cls_token.expand(2, -1, -1))
    assert torch.allclose(inputs[0][:, 1:], expected, atol=1e-6)


def test_the_class_token_matters_and_may_be_left_out():
    images = torch.randn(1, 3, 48, 48)
    with_cls, without_cls = tiny(), tiny(with_cls_token=False)

    missing = without_cls.load_state_dict(with_cls.state_dict(), strict=False)

    assert missing.unexpected_keys == ["cls_token"]
    assert missing.missing_keys == []
    assert not torch.allclose(with_cls(images)[0], without_cls(images)[0], atol=1e-4)


def test_maps_are_the_blocks_outputs_and_only_the_last_one_is_normalised():
    encoder, images, outputs = tiny(out_indices=(0, 1, 2)), torch.randn(2, 3, 48, 32), []
    nn.init.normal_(encoder.norm.weight)
    for block in encoder.blocks:
        block.register_forward_hook(lambda *call: outputs.append(call[-1]))

    maps = encoder(images)

    expected = [outputs[0], outputs[1], encoder.norm(outputs[2])]
    assert len(maps) == 3
    for featmap, tokens in zip(maps, expected, strict=True):
        assert featmap.shape == (2, 16, 6, 4)
        assert featmap.is_contiguous()
        assert torch.allclose(featmap.flatten(2).transpose(1, 2), tokens[:, 1:], atol=1e-6)


def test_out_indices_decide_the_order_of_the_maps():
    images, all_maps = torch.randn(1, 3, 48, 48), tiny(out_indices=(0, 1, 2))
    chosen = tiny(out_indices=(-1, 0))
    chosen.load_state_dict(all_maps.state_dict())

    last, first = chosen(images)

    assert torch.equal(last, all_maps(images)[2])
    assert torch.equal(first, all_maps(images)[0])


def test_patch_size_and_channels_of_the_image_may_differ():
    encoder = tiny(patch_size=4, in_channels=2)

    assert encoder.encoder_stride == 4
    assert encoder(torch.randn(1, 2, 48, 48))[0].shape == (1, 16, 12, 12)


def test_stochastic_depth_grows_linearly_to_its_last_block():
    rates = [block.drop_path.p for block in tiny(drop_path_rate=0.3).blocks]

    assert rates == pytest.approx([0.0, 0.15, 0.3])


def test_one_block_has_no_stochastic_depth():
    encoder = tiny(arch=dict(depth=1, embed_dims=16, num_heads=2), drop_path_rate=0.3)

    assert encoder.blocks[0].drop_path.p == 0


def test_patches_start_as_a_xavier_map_of_the_whole_patch():
    weight = tiny().patch_embed.weight

    bound = (6 / (8 * 8 * 3 + 16)) ** 0.5
    assert 0.9 * bound < weight.abs().max() <= bound
    assert 0.01 < tiny(arch=dict(depth=1, embed_dims=64, num_heads=2)).cls_token.std() < 0.03


def test_widths_that_are_no_multiple_of_4_are_refused():
    with pytest.raises(ValueError, match="dim=18"):
        tiny(arch=dict(depth=1, embed_dims=18, num_heads=2))

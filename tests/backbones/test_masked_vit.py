import pytest
import torch
from tiny_models import PLAIN_BACKBONES
from torch import nn

from mim_plugins.backbones import MaskedViT
from mim_plugins.layers import patchify, sincos_position_embedding
from mim_plugins.registry import MODELS


def tiny(**changes):
    """Build an encoder of 6x6 tokens of 8x8 pixels."""
    return MODELS.build(PLAIN_BACKBONES["vit"] | dict(img_size=48, patch_size=8) | changes).eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 48, 48)


def vit_parameters(depth, dim, patch_size=16):
    """Count the parameters of a ViT with [CLS] token and last norm, without positions and head."""
    norm, attention, build_mlp = 2 * dim, 4 * dim**2 + 4 * dim, 8 * dim**2 + 5 * dim
    patches = 3 * patch_size**2 * dim + dim
    return depth * (2 * norm + attention + build_mlp) + patches + dim + norm


@pytest.mark.parametrize(
    ("arch", "depth", "dim"),
    [("tiny", 12, 192), ("small", 12, 384), ("base", 12, 768), ("large", 24, 1024),
     ("huge", 32, 1280)],
)  # fmt: skip
def test_sizes_are_those_of_vit(arch, depth, dim):
    with torch.device("meta"):
        encoder = MaskedViT(arch=arch)
    count = sum(parameter.numel() for parameter in encoder.parameters())
    assert count == vit_parameters(depth, dim)
    if arch == "base":
        assert count + (14 * 14 + 1) * 768 == 85_798_656  # ViT-B/16 without its classifier
        assert [block.attn.num_heads for block in encoder.blocks] == [12] * 12


def test_tokens_are_linear_maps_of_patches(images):
    encoder = tiny()
    tokens, _ = encoder.embed(images, None)
    # weights of convolutions are channels-first, patches are channels-last
    weight = encoder.patch_embed.weight.permute(0, 2, 3, 1).reshape(16, -1)
    expected = patchify(images, 8) @ weight.T + encoder.patch_embed.bias
    assert torch.allclose(tokens.flatten(1, 2), expected, atol=1e-5)


def test_blocks_get_the_class_token_then_tokens_with_positions(images):
    encoder, inputs = tiny(), []
    encoder.blocks[0].register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    encoder(images)
    tokens, _ = encoder.embed(images, None)
    expected = (tokens + sincos_position_embedding(16, (6, 6))).flatten(1, 2)
    assert torch.equal(inputs[0][:, :1], encoder.cls_token.expand(2, -1, -1))
    assert torch.allclose(inputs[0][:, 1:], expected, atol=1e-6)


def test_the_class_token_is_optional(images):
    with_cls, without_cls = tiny(), tiny(with_cls_token=False)
    missing = without_cls.load_state_dict(with_cls.state_dict(), strict=False)
    assert missing.unexpected_keys == ["cls_token"]
    assert missing.missing_keys == []
    assert not torch.allclose(with_cls(images)[0], without_cls(images)[0], atol=1e-4)


def test_only_the_map_of_the_last_block_is_normalized():
    encoder, images, outputs = tiny(out_indices=(0, 1, 2)), torch.randn(2, 3, 48, 32), []
    nn.init.normal_(encoder.norm.weight)
    for block in encoder.blocks:
        block.register_forward_hook(lambda *call: outputs.append(call[-1]))
    maps = encoder(images)
    expected = [outputs[0], outputs[1], encoder.norm(outputs[2])]
    for featmap, tokens in zip(maps, expected, strict=True):
        assert featmap.shape == (2, 16, 6, 4)
        assert torch.allclose(featmap.flatten(2).transpose(1, 2), tokens[:, 1:], atol=1e-6)


def test_padding_of_windows_has_no_influence():
    encoder = tiny(window_size=4, out_type="avg_featmap")
    images = torch.randn(1, 3, 40, 32)  # 5 x 4 tokens: a full window, and a window of one row
    encoder.pos_embed.zero_()
    (pooled,) = encoder(images)

    x = encoder.patch_embed(images).flatten(2).transpose(1, 2)
    parts = []
    for window in (x[:, :16], x[:, 16:]):
        y = torch.cat([encoder.cls_token, window], dim=1)
        for block in encoder.blocks:
            y = block(y)
        parts.append(y[:, 1:])
    expected = encoder.fc_norm(torch.cat(parts, dim=1).mean(dim=1))
    assert torch.allclose(pooled, expected, atol=1e-5)


def test_patch_size_and_channels_of_the_image_may_differ():
    encoder = tiny(patch_size=4, in_channels=2)
    assert encoder.encoder_stride == 4
    assert encoder(torch.randn(1, 2, 48, 48))[0].shape == (1, 16, 12, 12)


def test_one_block_has_no_stochastic_depth():
    encoder = tiny(arch=dict(depth=1, embed_dims=16, num_heads=2), drop_path_rate=0.3)
    assert encoder.blocks[0].drop_path.p == 0


def test_patches_start_as_a_xavier_map_of_the_whole_patch():
    weight, bound = tiny().patch_embed.weight, (6 / (8 * 8 * 3 + 16)) ** 0.5
    assert 0.9 * bound < weight.abs().max() <= bound
    assert 0.01 < tiny(arch=dict(depth=1, embed_dims=64, num_heads=2)).cls_token.std() < 0.03


def test_widths_that_are_no_multiple_of_4_are_refused():
    with pytest.raises(ValueError, match="dim=18"):
        tiny(arch=dict(depth=1, embed_dims=18, num_heads=2))

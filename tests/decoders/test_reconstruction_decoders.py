import math

import pytest
import torch
from mrmae_fakes import assert_trained, random_mask
from torch import nn

from mim_plugins.decoders import MAEDecoder, MixMAEDecoder, ReconstructionDecoder
from mim_plugins.layers import sincos_position_embedding
from mim_plugins.registry import MODELS

ARGUMENTS = dict(in_channels=12, patch_size=2, embed_dims=16, depth=2, num_heads=2)


@pytest.fixture(params=[MAEDecoder, MixMAEDecoder])
def kind(request):
    return request.param


@pytest.fixture
def decoder(kind):
    decoder = MODELS.build(dict(type=f"mim_plugins.{kind.__name__}", grid=(3, 4), **ARGUMENTS))
    assert type(decoder) is kind
    assert isinstance(decoder, ReconstructionDecoder)
    return decoder


def decode(decoder, grid=(3, 4)):
    """Predict patches from random tokens as in pre-training, for MixMAE those of both images."""
    torch.manual_seed(1)
    length = grid[0] * grid[1]
    tokens, mask = torch.randn(2, length, 12), random_mask(2, length, 3)
    if isinstance(decoder, MixMAEDecoder):
        return torch.cat(decoder(tokens, mask.mask.reshape(2, *grid)))
    return decoder(tokens[:, :3], torch.randn(2, 1, 12), mask.ids_restore, grid)


@pytest.mark.parametrize("grid", [(3, 4), (5, 2)])
def test_every_parameter_gets_a_gradient_at_any_grid(decoder, grid):
    patches = decode(decoder, grid)
    (patches * torch.randn_like(patches)).sum().backward()
    assert patches.shape[1:] == (grid[0] * grid[1], 12)
    assert_trained(decoder)


def test_inference_equals_training_as_there_is_no_dropout(decoder):
    training = decode(decoder.train())
    assert torch.allclose(decode(decoder.eval()), training, atol=1e-5)


def test_bfloat16_patches_are_close_to_float32(decoder):
    expected = decode(decoder)
    with torch.autocast("cpu", torch.bfloat16):
        patches = decode(decoder)
    assert (patches.float() - expected).abs().mean() < 0.05


def test_other_channels_of_the_image_are_possible(kind):
    assert decode(kind(grid=(3, 4), out_channels=1, **ARGUMENTS)).shape[2] == 4


def test_predict_applies_blocks_norm_and_linear_layer(decoder):
    nn.init.normal_(decoder.norm.weight)
    x = torch.randn(2, 12, 16)
    patches = decoder.predict(x)
    expected = decoder.pred(decoder.norm(decoder.blocks[1](decoder.blocks[0](x))))
    assert patches.shape == (2, 12, 2 * 2 * 3)
    assert torch.equal(patches, expected)


def test_positions_are_sines_and_cosines_on_the_grid_row_by_row(decoder):
    expected = sincos_position_embedding(16, (3, 4)).reshape(1, 12, 16)
    assert torch.equal(decoder.positions((3, 4)), expected)
    assert torch.equal(decoder.positions((3, 4))[0, 4 * 2 + 1], decoder.pos_embed[0, 2, 1])


def test_positions_of_another_grid_are_resized(decoder):
    positions = decoder.positions((6, 8))
    assert positions.shape == (1, 48, 16)
    assert torch.pdist(positions[0]).min() > 1e-3


def test_a_checkpoint_of_another_grid_is_loaded(kind, decoder):
    other = kind(grid=(6, 6), **ARGUMENTS)
    other.load_state_dict(decoder.state_dict())
    assert other.pos_embed.shape == (1, 6, 6, 16)
    assert torch.equal(other.mask_token, decoder.mask_token)
    assert torch.equal(other.positions((6, 6)), decoder.positions((6, 6)))


def test_the_position_embedding_is_fixed(decoder):
    assert "pos_embed" not in dict(decoder.named_parameters())
    assert "pos_embed" in decoder.state_dict()


def test_only_the_mask_token_is_spared_from_weight_decay_by_name(decoder):
    assert decoder.no_weight_decay() == {"mask_token"}
    assert decoder.no_weight_decay() <= set(dict(decoder.named_parameters()))


def test_depth_widths_heads_and_epsilon_follow_the_arguments(kind):
    decoder = kind(
        grid=(2, 2), in_channels=6, patch_size=4, embed_dims=8, depth=3, num_heads=4,
        mlp_ratio=2.5, norm_eps=1e-3,
    )  # fmt: skip

    assert len(decoder.blocks) == 3
    assert decoder.embed.weight.shape == (8, 6)
    assert decoder.pred.weight.shape == (4 * 4 * 3, 8)
    for block in decoder.blocks:
        assert block.attn.num_heads == 4
        assert block.mlp.fc1.out_features == 20
        assert block.norm1.eps == block.norm2.eps == 1e-3
    assert decoder.norm.eps == 1e-3


def test_defaults_are_those_of_mae_base(kind):
    with torch.device("meta"):
        decoder = kind(in_channels=768, grid=(14, 14), patch_size=16)
    dim, depth, patch = 512, 8, 16 * 16 * 3
    block = 12 * dim**2 + 13 * dim
    expected = 768 * dim + dim + dim + depth * block + 2 * dim + dim * patch + patch
    assert sum(parameter.numel() for parameter in decoder.parameters()) == expected


def test_initial_weights_are_xavier_with_a_small_mask_token(decoder):
    for module in decoder.modules():
        if isinstance(module, nn.Linear):
            bound = math.sqrt(6 / (module.in_features + module.out_features))
            assert 0.9 * bound < module.weight.abs().max() <= bound
            assert (module.bias == 0).all()
    assert 0.005 < decoder.mask_token.std() < 0.04

import pytest
import torch
from torch import nn

from mim_plugins.decoders import MAEDecoder


@pytest.fixture
def decoder():
    return MAEDecoder(
        in_channels=12, grid=(3, 4), patch_size=2, embed_dims=16, depth=2, num_heads=2
    ).eval()


@pytest.fixture
def transparent_decoder():
    """Return a decoder that returns the input of its blocks: restored tokens plus positions."""
    decoder = MAEDecoder(
        in_channels=8, grid=(3, 4), patch_size=2, embed_dims=8, depth=0, num_heads=2
    )
    decoder.embed = decoder.norm = decoder.pred = nn.Identity()
    return decoder


def random_order(images=2, tokens=12):
    """Return the tokens of each image, visible ones first (B, L)."""
    return torch.stack([torch.randperm(tokens) for _ in range(images)])


@pytest.mark.parametrize("prefixes", [0, 1, 3])
def test_predicts_one_patch_per_token_of_the_image(decoder, prefixes):
    prefix = torch.randn(2, prefixes, 12) if prefixes else None
    patches = decoder(torch.randn(2, 5, 12), prefix, random_order().argsort(dim=1), (3, 4))
    assert patches.shape == (2, 12, 2 * 2 * 3)


def test_visible_and_mask_tokens_are_restored_to_their_positions(transparent_decoder):
    tokens, order = torch.randn(2, 5, 8), random_order()
    patches = transparent_decoder(tokens, None, order.argsort(dim=1), (3, 4))
    positions = transparent_decoder.pos_embed.flatten(1, 2)[0]
    for image in range(2):
        for place, token in enumerate(order[image].tolist()):
            content = tokens[image, place] if place < 5 else transparent_decoder.mask_token[0, 0]
            assert torch.equal(patches[image, token], content + positions[token])


@pytest.mark.parametrize("prefixes", [1, 2])
def test_prefix_tokens_have_no_position(transparent_decoder, prefixes):
    tokens, ids_restore = torch.randn(2, 5, 8), random_order().argsort(dim=1)
    read = []
    predict = transparent_decoder.predict
    transparent_decoder.predict = lambda x: read.append(x) or predict(x)
    prefix = torch.randn(2, prefixes, 8)

    with_prefix = transparent_decoder(tokens, prefix, ids_restore, (3, 4))
    without_prefix = transparent_decoder(tokens, None, ids_restore, (3, 4))

    assert torch.equal(with_prefix, without_prefix)
    assert torch.equal(read[0][:, :prefixes], prefix)


def test_prefix_tokens_influence_the_patches(decoder):
    tokens, ids_restore = torch.randn(2, 5, 12), random_order().argsort(dim=1)
    prefix = torch.randn(2, 1, 12, requires_grad=True)
    patches = decoder(tokens, prefix, ids_restore, (3, 4))
    patches[0].square().sum().backward()
    assert (prefix.grad[0] != 0).any()
    assert (prefix.grad[1] == 0).all()
    assert not torch.allclose(patches, decoder(tokens, None, ids_restore, (3, 4)), atol=1e-4)


def test_the_order_of_the_visible_tokens_does_not_matter(decoder):
    tokens, order, shuffle = torch.randn(2, 5, 12), random_order(), torch.randperm(5)
    shuffled = torch.cat([order[:, :5][:, shuffle], order[:, 5:]], dim=1)
    patches = decoder(tokens, None, order.argsort(dim=1), (3, 4))
    same = decoder(tokens[:, shuffle], None, shuffled.argsort(dim=1), (3, 4))
    inconsistent = decoder(tokens, None, shuffled.argsort(dim=1), (3, 4))
    assert torch.equal(patches, same)
    assert not torch.allclose(patches, inconsistent, atol=1e-4)


def test_the_order_of_the_masked_tokens_does_not_matter(decoder):
    tokens, order = torch.randn(2, 5, 12), random_order()
    shuffled = torch.cat([order[:, :5], order[:, 5:].flip(1)], dim=1)
    patches = decoder(tokens, None, order.argsort(dim=1), (3, 4))
    assert torch.equal(patches, decoder(tokens, None, shuffled.argsort(dim=1), (3, 4)))


def test_predictions_of_masked_tokens_depend_on_positions(decoder):
    order = random_order()
    patches = decoder(torch.randn(2, 5, 12), None, order.argsort(dim=1), (3, 4))
    masked = patches[0, order[0, 5:]]
    assert torch.pdist(masked).min() > 1e-3


def test_every_visible_token_influences_only_its_own_image(decoder):
    tokens = torch.randn(2, 5, 12, requires_grad=True)
    ids_restore = random_order().argsort(dim=1)
    for patch in range(12):
        tokens.grad = None
        patches = decoder(tokens, None, ids_restore, (3, 4))
        patches[0, patch].square().sum().backward()
        assert (tokens.grad[0].abs().sum(dim=1) > 0).all()
        assert (tokens.grad[1] == 0).all()

import pytest
import torch

from mim_plugins.decoders import MixMAEDecoder


@pytest.fixture
def decoder():
    return MixMAEDecoder(
        in_channels=12, grid=(3, 4), patch_size=2, embed_dims=16, depth=2, num_heads=2
    )


def random_mask(masks=1, grid=(3, 4)):
    return torch.rand(masks, *grid) < 0.5


@pytest.mark.parametrize("masks", [1, 2])
def test_predicts_one_patch_per_token_and_image(decoder, masks):
    own, partner = decoder(torch.randn(2, 12, 12), random_mask(masks))
    assert own.shape == partner.shape == (2, 12, 2 * 2 * 3)


@pytest.mark.parametrize("masks", [1, 2])
@pytest.mark.parametrize("branch", ["own", "partner"])
def test_a_branch_is_independent_of_the_other_image(decoder, branch, masks):
    mask = random_mask(masks)
    tokens = torch.randn(2, 12, 12, requires_grad=True)

    own, partner = decoder(tokens, mask)
    (own if branch == "own" else partner).square().sum().backward()

    hidden = mask.flatten(1).expand(2, -1)
    hidden = hidden if branch == "own" else ~hidden
    influence = tokens.grad.abs().sum(dim=-1)
    assert (influence[hidden] == 0).all()
    assert (influence[~hidden] > 0).all()


def test_a_branch_is_identical_when_masked_tokens_change(decoder):
    mask, tokens = random_mask(), torch.randn(2, 12, 12)
    changed = torch.where(mask.flatten(1)[..., None], torch.randn_like(tokens), tokens)
    own_before, partner_before = decoder(tokens, mask)
    own_after, partner_after = decoder(changed, mask)
    assert torch.equal(own_before, own_after)
    assert not torch.allclose(partner_before, partner_after)


def test_inverting_the_mask_exchanges_the_branches(decoder):
    mask, tokens = random_mask(), torch.randn(2, 12, 12)
    own, partner = decoder(tokens, mask)
    partner_inverted, own_inverted = decoder(tokens, ~mask)
    assert torch.allclose(own, own_inverted, atol=1e-5)
    assert torch.allclose(partner, partner_inverted, atol=1e-5)


def test_predictions_depend_on_the_position_of_a_masked_token(decoder):
    mask = torch.ones(1, 3, 4, dtype=torch.bool)
    own, _ = decoder(torch.randn(1, 12, 12), mask)
    assert (own[0, 1:] - own[0, :1]).abs().amax(dim=1).min() > 1e-4

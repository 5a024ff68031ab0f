import pytest
import torch

from mim_plugins.layers import PatchEmbed, patchify
from mim_plugins.transforms import mix


def test_is_a_linear_map_of_each_patch_then_a_norm():
    embed = PatchEmbed(3, 8, 4)
    images = torch.randn(2, 3, 8, 12)

    tokens = embed(images)

    # the weight of a convolution has its channels first, patches have them last
    weight = embed.proj.weight.permute(0, 2, 3, 1).reshape(8, -1)
    linear = patchify(images, 4) @ weight.T + embed.proj.bias
    assert torch.allclose(tokens, embed.norm(linear).reshape(2, 2, 3, 8), atol=1e-5)


def test_embedding_of_mixed_images_is_the_mixture_of_embeddings():
    embed = PatchEmbed(3, 8, 4)
    images = torch.randn(2, 3, 16, 16)
    mask = torch.rand(1, 4, 4) < 0.5
    partner = torch.tensor([1, 0])

    of_mixed = embed(mix(images, mask, partner))

    tokens = embed(images)
    assert torch.equal(of_mixed, torch.where(mask[..., None], tokens[partner], tokens))


@pytest.mark.parametrize(("size", "grid"), [((9, 12), (3, 3)), ((1, 7), (1, 2)), ((8, 8), (2, 2))])
def test_other_sizes_are_padded_with_zeros_at_bottom_and_right(size, grid):
    embed = PatchEmbed(3, 8, 4)
    images = torch.randn(1, 3, *size)
    padded = torch.zeros(1, 3, 4 * grid[0], 4 * grid[1])
    padded[:, :, : size[0], : size[1]] = images

    tokens = embed(images)

    assert tokens.shape == (1, *grid, 8)
    assert torch.equal(tokens, embed(padded))

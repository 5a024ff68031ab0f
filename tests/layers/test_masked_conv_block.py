import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mim_plugins.layers import MaskedConvBlock


@pytest.fixture
def block():
    block = MaskedConvBlock(6, mlp_ratio=2).eval()
    for norm in (block.norm1, block.norm2):  # non-trivial norms
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return block


def random_visible(images=2, size=8):
    return torch.rand(images, 1, size, size) < 0.5


def point_wise(layer, x):
    """Apply a norm or 1x1 convolution to maps (B, C, H, W), position by position."""
    if isinstance(layer, nn.LayerNorm):
        return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return torch.einsum("oc,bchw->bohw", layer.weight[:, :, 0, 0], x) + layer.bias[:, None, None]


def slow_block(block, x, visible):
    """Compute the block with the 5x5 convolution as a loop over the 25 offsets."""
    height, width = x.shape[2:]
    y = point_wise(block.conv1, point_wise(block.norm1, x))
    y = F.pad(torch.where(visible, y, 0), (2, 2, 2, 2))
    gathered = block.attn.bias[:, None, None].expand_as(x)
    for row in range(5):
        for col in range(5):
            shifted = y[:, :, row : row + height, col : col + width]
            gathered = gathered + block.attn.weight[:, 0, row, col, None, None] * shifted
    x = x + point_wise(block.conv2, gathered)
    hidden = F.gelu(point_wise(block.mlp.fc1, point_wise(block.norm2, x)))
    return x + point_wise(block.mlp.fc2, hidden)


def test_equals_a_slow_reference(block):
    x, visible = torch.randn(2, 6, 8, 8), random_visible()
    assert torch.allclose(block(x, visible), slow_block(block, x, visible), atol=1e-5)


def test_without_a_mask_all_tokens_influence_each_other(block):
    x = torch.randn(2, 6, 7, 5)
    assert torch.equal(block(x, None), block(x, torch.ones(2, 1, 7, 5, dtype=torch.bool)))


@pytest.mark.parametrize("dtype", [torch.bool, torch.float32])
def test_changed_masked_tokens_leave_visible_tokens_identical(block, dtype):
    x, visible = torch.randn(2, 6, 8, 8), random_visible()
    changed = torch.where(visible, x, 100 * torch.randn_like(x))
    before, after = block(x, visible.to(dtype)), block(changed, visible.to(dtype))
    at_visible = visible.expand_as(x)
    assert torch.equal(before[at_visible], after[at_visible])
    assert not torch.allclose(before[~at_visible], after[~at_visible])
    # without a mask, the change would be noticed
    difference = (block(x, None) - block(changed, None)).abs().sum(dim=1, keepdim=True)
    assert difference[visible].min() > 1e-3


def test_visible_tokens_have_no_gradient_at_masked_ones(block):
    x, visible = torch.randn(2, 6, 8, 8, requires_grad=True), random_visible()
    block(x, visible)[visible.expand_as(x)].square().sum().backward()
    influence = x.grad.abs().sum(dim=1, keepdim=True)
    assert (influence[~visible] == 0).all()
    assert (influence[visible] > 0).all()


def test_a_token_reaches_two_tokens_in_every_direction(block):
    x = torch.randn(1, 6, 9, 9, requires_grad=True)
    block(x, None)[0, :, 4, 4].square().sum().backward()
    reached = torch.zeros(9, 9, dtype=torch.bool)
    reached[2:7, 2:7] = True
    assert torch.equal(x.grad[0].abs().sum(dim=0) > 0, reached)


def test_stochastic_depth_acts_in_training_only():
    block, x = MaskedConvBlock(4, drop_path_rate=0.5), torch.randn(64, 4, 3, 3)
    dropped = (block(x, None) == x).flatten(1).all(dim=1)
    assert 0 < dropped.sum() < 64
    assert torch.equal(block.eval()(x, None), block(x, None))


def test_parameters_have_the_names_of_the_authors():
    names = set(MaskedConvBlock(4).state_dict())
    modules = ("norm1", "conv1", "attn", "conv2", "norm2", "mlp.fc1", "mlp.fc2")
    assert names == {f"{module}.{part}" for module in modules for part in ("weight", "bias")}

import itertools

import pytest
import torch
from torch import nn

from mim_plugins.layers import TransformerBlock, checkpointed_forward, windowed_forward


@pytest.fixture
def blocks():
    modules = nn.ModuleList(TransformerBlock(8, 2, 2.0) for _ in range(3)).eval()
    for parameter in modules.parameters():
        nn.init.normal_(parameter, std=0.5)
    return modules


def run(blocks, x, grid, window, global_blocks=(), with_cp=False, out_indices=()):
    return windowed_forward(blocks, x, grid, window, global_blocks, with_cp, out_indices)


@pytest.mark.parametrize("num_prefix", [0, 1, 2])
@pytest.mark.parametrize("global_blocks", [(), (1,), (0, 2)])
@pytest.mark.parametrize("grid", [(4, 4), (3, 4), (2, 1)])
def test_a_window_that_covers_the_grid_is_global_attention(blocks, num_prefix, global_blocks, grid):
    x = torch.randn(2, num_prefix + grid[0] * grid[1], 8)

    found, intermediates = run(blocks, x, grid, 4, global_blocks, out_indices=(0, 1))

    expected, outputs = checkpointed_forward(blocks, x, False, (0, 1))
    assert torch.allclose(found, expected, atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(intermediates, outputs, strict=True))


@pytest.mark.parametrize("num_prefix", [0, 1])
@pytest.mark.parametrize("grid", [(6, 6), (5, 7), (4, 8), (3, 10)])
def test_windows_are_independent_and_padding_has_no_influence(blocks, num_prefix, grid):
    x = torch.randn(2, num_prefix + grid[0] * grid[1], 8)

    found, _ = run(blocks, x, grid, 3)

    # this reference has no padding, so windows at the border are smaller
    tokens = x[:, num_prefix:].unflatten(1, grid)
    expected, prefixes = torch.empty_like(tokens), []
    for row, col in itertools.product(range(0, grid[0], 3), range(0, grid[1], 3)):
        area = (slice(None), slice(row, row + 3), slice(col, col + 3))
        window = tokens[area]
        alone = torch.cat([x[:, :num_prefix], window.flatten(1, 2)], dim=1)
        alone, _ = checkpointed_forward(blocks, alone, False)
        expected[area] = alone[:, num_prefix:].reshape(window.shape)
        prefixes.append(alone[:, :num_prefix])
    assert torch.allclose(found[:, num_prefix:].unflatten(1, grid), expected, atol=1e-5)
    assert torch.allclose(found[:, :num_prefix], torch.stack(prefixes).mean(dim=0), atol=1e-5)


@pytest.mark.parametrize("num_prefix", [0, 1])
def test_other_windows_have_exactly_no_influence(blocks, num_prefix):
    x = torch.randn(1, num_prefix + 35, 8)
    changed = x.clone()
    grid_of_changed = changed[:, num_prefix:].unflatten(1, (5, 7))
    grid_of_changed[:, 3:, 3:] += 100.0  # a view: all of the last two windows of the second row

    before, _ = run(blocks, x, (5, 7), 3)
    after, _ = run(blocks, changed, (5, 7), 3)

    before, after = (y[:, num_prefix:].unflatten(1, (5, 7)) for y in (before, after))
    assert torch.equal(before[:, :3], after[:, :3])
    assert torch.equal(before[:, 3:, :3], after[:, 3:, :3])
    assert not torch.equal(before[:, 3:, 3:], after[:, 3:, 3:])


def test_one_global_block_lets_all_tokens_meet(blocks):
    x = torch.randn(1, 36, 8, requires_grad=True)
    found, _ = run(blocks, x, (6, 6), 3, global_blocks=(1,))
    (found[0, 0] * torch.randn(8)).sum().backward()
    assert (x.grad[0].abs().sum(dim=1) > 0).all()


def test_intermediates_are_the_outputs_after_each_block(blocks):
    x = torch.randn(2, 1 + 35, 8)
    _, intermediates = run(blocks, x, (5, 7), 3, global_blocks=(1,), out_indices=(2, 0, 1))
    for index, level in zip((2, 0, 1), intermediates, strict=True):
        expected, _ = run(blocks[: index + 1], x, (5, 7), 3, global_blocks=(1,))
        assert torch.equal(level, expected)


def test_recomputing_changes_no_gradient(blocks):
    gradients = []
    for with_cp in (False, True):
        blocks.zero_grad()
        x = torch.randn(2, 35, 8, generator=torch.Generator().manual_seed(1))
        output, _ = run(blocks, x, (5, 7), 3, (1,), with_cp)
        output.square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in blocks.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_stochastic_depth_drops_whole_images_not_windows():
    block = TransformerBlock(8, 2, 2.0, drop_path_rate=0.5).train()
    x = torch.randn(16, 36, 8)
    found, _ = run(nn.ModuleList([block]), x, (6, 6), 3)
    unchanged = (found == x).all(dim=-1)  # both branches dropped
    assert (unchanged.all(dim=1) | ~unchanged.any(dim=1)).all()
    assert unchanged.any()

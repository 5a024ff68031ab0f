import math

import pytest
import torch

from mim_plugins.layers import (
    TokenGroups,
    WindowAttention,
    WindowLayout,
    group_attention_mask,
    group_bias_rows,
    resize_relative_position_bias,
)


def naive_attention(attention, x, window, attn_mask):
    """Compute window attention pair by pair from the weights of the module."""
    batch, windows, tokens, dim = x.shape
    heads, size = attention.num_heads, dim // attention.num_heads
    side = 2 * attention.window - 1
    output = torch.zeros_like(x)
    for b in range(batch):
        for w in range(windows):
            qkv = x[b, w] @ attention.qkv.weight.T + attention.qkv.bias
            query, key, value = qkv.split(dim, dim=1)
            for head in range(heads):
                part = slice(head * size, (head + 1) * size)
                for i in range(tokens):
                    weights = []
                    for j in range(tokens):
                        if attn_mask is not None and not attn_mask[b % len(attn_mask), w, i, j]:
                            weights.append(0.0)
                            continue
                        row = i // window[1] - j // window[1] + attention.window - 1
                        col = i % window[1] - j % window[1] + attention.window - 1
                        bias = attention.relative_position_bias_table[row * side + col, head]
                        score = query[i, part] @ key[j, part] / math.sqrt(size) + bias
                        weights.append(math.exp(score.item()))
                    weights = torch.tensor(weights, dtype=x.dtype) / sum(weights)
                    output[b, w, i, part] = weights @ value[:, part]
    return output @ attention.proj.weight.T + attention.proj.bias


def random_permission(masks, layout):
    groups = layout.group_ids(torch.rand(masks, *layout.grid) < 0.5, torch.device("cpu"))
    return group_attention_mask(groups, groups)


@pytest.fixture
def attention():
    module = WindowAttention(dim=8, window=3, num_heads=2).double().eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module.requires_grad_(False)


@pytest.mark.parametrize("window", [(3, 3), (2, 3), (1, 2)])
@pytest.mark.parametrize("masks", [0, 1, 2])
def test_equals_a_naive_loop_over_pairs(attention, window, masks):
    layout = WindowLayout((2 * window[0], window[1]), window)
    x = torch.randn(2, 2, window[0] * window[1], 8, dtype=torch.float64)
    attn_mask = random_permission(masks, layout) if masks else None
    output = attention(x, window, attn_mask)
    assert torch.allclose(output, naive_attention(attention, x, window, attn_mask), atol=1e-10)


def test_forbidden_tokens_have_exactly_no_influence(attention):
    layout = WindowLayout((6, 6), (3, 3), (1, 1))
    mask = torch.rand(1, 6, 6) < 0.5
    groups = layout.group_ids(mask, torch.device("cpu"))
    attn_mask = group_attention_mask(groups, groups)
    x = torch.randn(1, 6, 6, 8, dtype=torch.float64)
    changed = torch.where(mask[..., None], 100 * torch.randn_like(x), x)

    before = layout.merge(attention(layout.partition(x), (3, 3), attn_mask))
    after = layout.merge(attention(layout.partition(changed), (3, 3), attn_mask))

    assert torch.equal(before[~mask], after[~mask])
    assert not torch.allclose(before[mask], after[mask])


def test_forbidden_tokens_get_exactly_no_gradient(attention):
    mask = torch.tensor([[0, 1, 0, 1, 1, 0, 0, 0, 1]]).bool()
    attn_mask = group_attention_mask(mask, mask)[:, None]
    x = torch.randn(1, 1, 9, 8, dtype=torch.float64, requires_grad=True)
    attention(x, (3, 3), attn_mask)[:, 0][~mask].square().sum().backward()
    assert torch.equal(x.grad[:, 0][mask], torch.zeros_like(x.grad[:, 0][mask]))
    assert (x.grad[:, 0][~mask].abs().sum(dim=-1) > 0).all()


def test_one_mask_per_image_equals_running_the_images_one_by_one(attention):
    attn_mask = random_permission(3, WindowLayout((6, 3), (3, 3)))
    x = torch.randn(3, 2, 9, 8, dtype=torch.float64)
    together = attention(x, (3, 3), attn_mask)
    for image in range(3):
        alone = attention(x[image : image + 1], (3, 3), attn_mask[image : image + 1])
        assert torch.allclose(together[image : image + 1], alone, atol=1e-12)


def test_permitting_all_pairs_equals_no_mask(attention):
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    all_pairs = attention(x, (3, 3), torch.ones(1, 4, 9, 9, dtype=torch.bool))
    assert torch.allclose(all_pairs, attention(x, (3, 3)), atol=1e-12)


def test_a_smaller_window_uses_the_bias_of_the_same_offsets(attention):
    full = attention.relative_position_bias((3, 3))[0].reshape(2, 3, 3, 3, 3)
    small = attention.relative_position_bias((2, 2))[0].reshape(2, 2, 2, 2, 2)

    assert torch.equal(small, full[:, :2, :2, :2, :2])


@pytest.mark.parametrize("window", [(4, 4), (2, 5), (6, 1)])
def test_a_window_larger_than_the_table_uses_a_resized_table(attention, window):
    larger = WindowAttention(dim=8, window=max(window), num_heads=2).double().eval()
    state = attention.state_dict()
    covered = (max(window[0], 3), max(window[1], 3))
    table = resize_relative_position_bias(attention.relative_position_bias_table, covered)
    # centered in the table of a square window that is large enough
    side = 2 * larger.window - 1
    square = torch.zeros(side, side, 2, dtype=torch.float64)
    rows, cols = 2 * covered[0] - 1, 2 * covered[1] - 1
    table = table.reshape(rows, cols, 2)
    top, left = (rows - 1) // 2 - (window[0] - 1), (cols - 1) // 2 - (window[1] - 1)
    used = table[top : rows - top, left : cols - left]
    top, left = larger.window - window[0], larger.window - window[1]
    square[top : side - top, left : side - left] = used
    larger.load_state_dict(state | dict(relative_position_bias_table=square.flatten(0, 1)))
    x = torch.randn(1, 2, window[0] * window[1], 8, dtype=torch.float64)

    assert torch.allclose(attention(x, window), larger(x, window), atol=1e-6)


@pytest.mark.parametrize("window", [3, 5])
def test_a_checkpoint_of_any_window_is_loaded_and_resized(window):
    small, large = WindowAttention(8, 3, 2), WindowAttention(8, window, 2)
    torch.nn.init.normal_(small.relative_position_bias_table)
    state = small.state_dict()
    large.load_state_dict(state)
    expected = small.relative_position_bias_table
    if window != 3:
        expected = resize_relative_position_bias(expected, window)
    assert torch.equal(large.relative_position_bias_table, expected)
    assert torch.equal(large.qkv.weight, small.qkv.weight)
    assert state["relative_position_bias_table"].shape == (25, 2)  # the caller's dict is untouched


@pytest.mark.parametrize("window", [3, 5])
def test_a_checkpoint_of_another_head_count_is_refused(window):
    state = WindowAttention(8, 3, 4).state_dict()
    with pytest.raises(RuntimeError, match="relative_position_bias_table"):
        WindowAttention(8, window, 2).load_state_dict(state)


def test_dropout_of_attention_acts_in_training_only():
    attention = WindowAttention(8, 3, 2, attn_drop=0.5)
    x = torch.randn(1, 1, 9, 8)
    assert not torch.equal(attention(x, (3, 3)), attention(x, (3, 3)))
    attention.eval()
    assert torch.equal(attention(x, (3, 3)), attention(x, (3, 3)))


def test_the_index_is_not_part_of_a_checkpoint():
    names = set(WindowAttention(8, 3, 2, qkv_bias=False).state_dict())
    assert names == {"relative_position_bias_table", "qkv.weight", "proj.weight", "proj.bias"}


@pytest.mark.parametrize("window", [(4, 4), (3, 2), (5, 6)])
@pytest.mark.parametrize("in_groups", [False, True])
def test_the_bias_is_contiguous_with_unchanged_gradients(window, in_groups):
    """The fused kernels of GPUs read no other bias."""
    attention = WindowAttention(8, 4, 2)
    ids = torch.tensor([0, 1]).repeat_interleave(window[0] * window[1] // 2).view(1, 1, -1)
    groups = TokenGroups.from_group_ids(ids, ids.device, ragged=True)
    given = (window, groups, group_bias_rows(groups, window, 4)) if in_groups else (window,)
    (bias,) = attention.relative_position_bias(*given)
    assert bias.is_contiguous()
    weight = torch.randn_like(bias)
    (grad,) = torch.autograd.grad((bias * weight).sum(), attention.relative_position_bias_table)
    # the gradient of each head depends on that head alone
    for head in range(2):
        own = attention.relative_position_bias(*given)[0][:, :, head]
        total = (own * weight[:, :, head]).sum()
        (alone,) = torch.autograd.grad(total, attention.relative_position_bias_table)
        assert torch.equal(alone[:, head], grad[:, head])

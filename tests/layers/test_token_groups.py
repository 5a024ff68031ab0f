"""Sorting tokens by group can be undone; attention in blocks equals masked attention."""

import pytest
import torch

from mim_plugins.layers import TokenGroups, WindowAttention, group_attention_mask

CPU = torch.device("cpu")
EQUAL = torch.tensor([[[0, 0, 1, 0, 1], [1, 0, 1, 0, 0], [0, 1, 0, 1, 0]]])
RAGGED = torch.tensor([[[0, 0, 1, 0, 1], [1, 1, 1, 1, 1], [0, 1, 0, 0, 0], [0, 0, 1, 0, 1]]])


def group_ids_with(*counts, masks=1, windows=1):
    """Return group ids (M, nW, N) with ``counts[g]`` tokens in group g, in random order."""
    row = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return torch.stack(
        [torch.stack([row[torch.randperm(len(row))] for _ in range(windows)]) for _ in range(masks)]
    )


@pytest.mark.parametrize(
    ("group_ids", "blocks"),
    [
        (EQUAL, ((3, 2), (3, 3))),
        (RAGGED, ((1, 1), (2, 2), (2, 3), (1, 4), (1, 5))),
        (torch.tensor([[[-8, 3, 0, 3, -8, -8]]]), ((1, 1), (1, 2), (1, 3))),
        (torch.tensor([[[0, 1, 1, 0]], [[1, 1, 0, 0]]]), ((2, 2),)),
    ],
    ids=["equal", "ragged", "padding_and_shift", "per_image"],
)
def test_each_block_holds_whole_groups_of_one_size(group_ids, blocks):
    groups = TokenGroups.from_group_ids(group_ids, CPU, ragged=True)
    assert groups.blocks == blocks
    windows = torch.arange(group_ids.shape[1])[None, :, None].expand_as(group_ids)
    names = torch.stack([windows, group_ids], dim=-1)  # (M, nW, N, 2), equal within a group only
    for part, (count, size) in zip(groups.split(groups.sort(names)), blocks, strict=True):
        assert part.shape[1:] == (count, size, 2)
        assert (part == part[:, :, :1]).all()


@pytest.mark.parametrize("group_ids", [EQUAL, RAGGED, group_ids_with(4, 5, masks=2, windows=3)])
def test_sorted_tokens_are_restored(group_ids):
    groups = TokenGroups.from_group_ids(group_ids, CPU, ragged=True)
    x = torch.randn(2, *group_ids.shape[1:], 3)
    assert torch.equal(groups.restore(groups.sort(x)), x)


def test_positions_are_those_in_the_window_of_the_token():
    groups = TokenGroups.from_group_ids(RAGGED, CPU, ragged=True)
    ordered = groups.split(groups.sort(RAGGED[..., None].expand(1, -1, -1, 1)))
    for part, positions in zip(ordered, groups.positions(), strict=True):
        assert (positions < 5).all()
        # one of the windows contains the group at these positions
        for row, where in zip(part[0, :, :, 0], positions[0], strict=True):
            assert any(
                (window[where] == row).all() and (window == row[0]).sum() == len(row)
                for window in RAGGED[0]
            )


def test_masks_whose_groups_differ_in_size_have_no_dense_groups():
    unequal = torch.tensor([[[0, 0, 0, 1]], [[0, 0, 1, 1]]])
    assert TokenGroups.from_group_ids(unequal, CPU, ragged=True) is None


def test_different_windows_have_dense_groups_only_if_ragged():
    assert TokenGroups.from_group_ids(RAGGED, CPU, ragged=False) is None
    assert TokenGroups.from_group_ids(EQUAL, CPU, ragged=False).blocks == ((3, 2), (3, 3))


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize(
    "group_ids",
    [
        group_ids_with(4, 5),
        group_ids_with(4, 5, windows=3),
        group_ids_with(9, windows=2),
        torch.cat([group_ids_with(9), group_ids_with(1, 8), 1 + group_ids_with(9)], dim=1),
        torch.cat([group_ids_with(2, 3, 4, windows=2), group_ids_with(0, 5, 4)], dim=1),
    ],
    ids=["one_window", "equal_windows", "one_group", "empty_groups", "three_groups"],
)
def test_attention_in_groups_equals_masked_attention(group_ids, images):
    check_equal(group_ids, images, torch.float64, 1e-12)


@pytest.mark.parametrize("windows", [1, 3])
def test_attention_in_groups_per_image_equals_masked_attention(windows):
    check_equal(group_ids_with(4, 5, masks=2, windows=windows), 2, torch.float64, 1e-12)


def test_group_attention_equals_masked_attention_in_float32():
    check_equal(torch.cat([group_ids_with(9), group_ids_with(1, 8)], dim=1), 2, torch.float32, 1e-5)


def check_equal(group_ids, images, dtype, tolerance):
    """Compare values and all gradients of group attention and masked attention."""
    attention = WindowAttention(dim=8, window=3, num_heads=2).to(dtype)
    torch.nn.init.normal_(attention.relative_position_bias_table)
    groups = TokenGroups.from_group_ids(group_ids, CPU, ragged=True)
    x = torch.randn(images, group_ids.shape[1], 9, 8, dtype=dtype)
    weight = torch.randn_like(x)

    def run(grouped):
        attention.zero_grad()
        given = x.clone().requires_grad_()
        if grouped:
            output = groups.restore(attention(groups.sort(given), (3, 3), groups=groups))
        else:
            output = attention(given, (3, 3), group_attention_mask(group_ids, group_ids))
        (output * weight).sum().backward()
        return [output, given.grad, *(p.grad.clone() for p in attention.parameters())]

    for grouped, masked in zip(run(True), run(False), strict=True):
        torch.testing.assert_close(grouped, masked, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("masks", [1, 3])
def test_sorting_has_exact_gradients_of_both_orders(masks):
    groups = TokenGroups.from_group_ids(group_ids_with(2, 3, masks=masks, windows=2), CPU, True)
    x = torch.randn(3, 2, 5, 2, dtype=torch.float64, requires_grad=True)

    assert torch.equal(groups.restore(groups.sort(x)), x)
    expected = x.flatten(1, 2).gather(1, groups.order[..., None].expand(3, -1, 2))
    assert torch.equal(groups.sort(x), expected)
    torch.autograd.gradcheck(groups.sort, x)
    torch.autograd.gradgradcheck(groups.sort, x)

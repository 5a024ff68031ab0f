"""Tokens sorted by group come back to their places; attention in blocks equals masked attention."""

import pytest
import torch

from mim_plugins.layers import TokenGroups, WindowAttention, same_group

CPU = torch.device("cpu")


def numbers_with(*counts, masks=1, windows=1):
    """Group numbers (M, nW, N) in which group g occurs counts[g] times, in random order."""
    row = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return torch.stack(
        [torch.stack([row[torch.randperm(len(row))] for _ in range(windows)]) for _ in range(masks)]
    )


@pytest.mark.parametrize(("masks", "windows"), [(1, 1), (1, 3), (2, 3)])
def test_sorted_tokens_are_grouped_and_restored(masks, windows):
    numbers = numbers_with(4, 5, masks=masks, windows=windows)
    groups = TokenGroups.of(numbers, CPU)
    assert groups.sizes == (4, 5)
    x = numbers[..., None].expand(-1, -1, -1, 2).expand(2, -1, -1, -1).double()
    ordered = groups.sort(x)
    assert (ordered[:, :, :4] == 0).all()
    assert (ordered[:, :, 4:] == 1).all()
    x = torch.randn(2, windows, 9, 3)
    assert torch.equal(groups.restore(groups.sort(x)), x)


def test_padding_and_shift_numbers_are_groups_too():
    groups = TokenGroups.of(torch.tensor([[[-8, 3, 0, 3, -8, -8]]]), CPU)
    assert groups.sizes == (3, 1, 2)
    assert groups.order.tolist() == [[[0, 4, 5, 2, 1, 3]]]


def test_unequal_windows_or_masks_have_no_dense_groups():
    unequal = torch.tensor([[0, 0, 0, 1], [0, 0, 1, 1]])
    assert TokenGroups.of(unequal[None], CPU) is None
    assert TokenGroups.of(unequal[:, None], CPU) is None


@pytest.mark.parametrize("masks", [1, 2])
@pytest.mark.parametrize("windows", [1, 3])
def test_attention_in_groups_equals_masked_attention(masks, windows):
    attention = WindowAttention(dim=8, window=3, num_heads=2).double()
    numbers = numbers_with(4, 5, masks=masks, windows=windows)
    groups = TokenGroups.of(numbers, CPU)
    x = torch.randn(2, windows, 9, 8, dtype=torch.double)
    weight = torch.randn_like(x)

    def run(grouped):
        attention.zero_grad()
        given = x.clone().requires_grad_()
        if grouped:
            output = groups.restore(attention(groups.sort(given), (3, 3), groups=groups))
        else:
            output = attention(given, (3, 3), same_group(numbers, numbers))
        (output * weight).sum().backward()
        return [output, given.grad, *(p.grad.clone() for p in attention.parameters())]

    for grouped, masked in zip(run(True), run(False), strict=True):
        torch.testing.assert_close(grouped, masked, rtol=0, atol=1e-12)

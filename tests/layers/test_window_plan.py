"""Plans of mixed windows: which are grouped, and which sizes depend on the mask."""

import pytest
import torch

from mim_plugins.layers import Grouping, TokenGroups, WindowKind, WindowPlanner, group_bias_rows
from mim_plugins.masking import sample_masks, upsample_mask

CPU = torch.device("cpu")


def plan(window, grouping, masks=1, shifts=(False,)):
    mask = upsample_mask(sample_masks(masks, (4, 4), 0.5), 2)
    kinds = tuple(WindowKind(window, shifted=shifted) for shifted in shifts)
    return WindowPlanner(kinds)(mask, CPU, grouping), mask


@pytest.mark.parametrize("masks", [1, 3])
def test_whole_grids_have_groups_of_constant_size(masks):
    plans = [plan(8, Grouping.WHOLE_GRID, masks)[0][0] for _ in range(5)]
    assert {each.groups.blocks for each in plans} == {((2, 32),)}
    assert all(each.attn_mask is None for each in plans)
    assert len({tuple(each.groups.order.flatten().tolist()) for each in plans}) > 1


@pytest.mark.parametrize(
    ("window", "grouping"),
    [(4, Grouping.WHOLE_GRID), (3, Grouping.WHOLE_GRID), (8, Grouping.NONE), (4, Grouping.NONE)],
)
def test_other_windows_have_masks_of_constant_shape(window, grouping):
    plans, mask = plan(window, grouping, shifts=(False, True))
    for each in plans:
        ids = each.layout.group_ids(mask)
        equal = ids[..., :, None] == ids[..., None, :]
        assert each.groups is None
        assert torch.equal(each.attn_mask == 0, equal)
        assert (each.attn_mask[~equal] == float("-inf")).all()


def test_ragged_groups_are_in_all_windows():
    plans = [plan(4, Grouping.RAGGED)[0][0] for _ in range(5)]
    assert all(each.attn_mask is None for each in plans)
    assert len({each.groups.blocks for each in plans}) > 1


def test_masks_with_unequal_counts_are_not_grouped():
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, :2] = mask[1, :1] = True
    for grouping in (Grouping.WHOLE_GRID, Grouping.RAGGED):
        (each,) = WindowPlanner((WindowKind(4),))(mask, CPU, grouping)
        assert each.groups is None
        assert each.attn_mask.shape == (2, 1, 16, 16)


def test_a_layout_without_shift_has_one_plan():
    (first, second), _ = plan(8, Grouping.RAGGED, shifts=(False, True))
    assert first is second


def test_unmixed_images_have_masks_only_for_padding():
    planner = WindowPlanner((WindowKind(4),))
    assert planner.unmixed((8, 8), CPU)[0].attn_mask is None
    assert planner.unmixed((8, 7), CPU)[0].attn_mask.shape == (1, 4, 16, 16)


@pytest.mark.parametrize("grouping", Grouping)
def test_partitioned_tokens_are_merged_in_their_order(grouping):
    (each,), _ = plan(4, grouping)
    x = torch.randn(2, 8, 8, 3)
    assert torch.equal(each.merge(each.partition(x)), x)


def test_bias_rows_are_those_of_the_pairs_of_a_block():
    ids = torch.tensor([[[0, 1, 1, 0]]])
    groups = TokenGroups.from_group_ids(ids, CPU, ragged=True)
    # positions 0 and 3, then 1 and 2, of a 2x2 window: the table has rows for 3x3 offsets
    assert group_bias_rows(groups, (2, 2), 2).tolist() == [[4, 0, 8, 4, 4, 2, 6, 4]]


def test_groups_of_any_size_are_only_fast_on_the_cpu():
    assert Grouping.fastest(CPU) is Grouping.RAGGED
    assert Grouping.fastest(torch.device("meta")) is Grouping.WHOLE_GRID

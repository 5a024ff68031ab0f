import itertools

import pytest
import torch

from mim_plugins.layers import (
    WindowLayout,
    group_attention_mask,
    relative_position_index,
    resize_relative_position_bias,
)

CPU = torch.device("cpu")

LAYOUTS = [
    WindowLayout((8, 8), (4, 4)),
    WindowLayout((8, 8), (4, 4), (2, 2)),
    WindowLayout((7, 5), (3, 3)),
    WindowLayout((7, 5), (3, 3), (1, 1)),
    WindowLayout((6, 9), (4, 4), (2, 2)),
    WindowLayout((5, 8), (5, 4), (0, 2)),
    WindowLayout((1, 7), (1, 4), (0, 2)),
    WindowLayout((3, 3), (3, 3)),
    WindowLayout((9, 4), (2, 3), (1, 1)),
]


def slots_of(layout):
    """Return (row, column, row is wrapped, column is wrapped) by slot, window by window."""
    (rows, cols), (wh, ww), (sh, sw) = layout.padded, layout.window, layout.shift
    windows = []
    for window_row, window_col in itertools.product(range(rows // wh), range(cols // ww)):
        slots = []
        for r, c in itertools.product(range(wh), range(ww)):
            row, col = window_row * wh + r + sh, window_col * ww + c + sw
            slots.append((row % rows, col % cols, row >= rows, col >= cols))
        windows.append(slots)
    return windows


def may_attend(layout, mask, query, key):
    """Return whether two tokens share image and side of the cyclic border, without padding."""
    for row, col, _, _ in (query, key):
        if row >= layout.grid[0] or col >= layout.grid[1]:
            return False
    same_image = mask is None or bool(mask[query[:2]] == mask[key[:2]])
    return same_image and query[2:] == key[2:]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_partition_moves_tokens_to_windows_and_merge_undoes_it(layout):
    x = torch.randn(2, *layout.grid, 3)
    windows = layout.partition(x)
    expected = torch.zeros_like(windows)
    for window, slots in enumerate(slots_of(layout)):
        for slot, (row, col, _, _) in enumerate(slots):
            if row < layout.grid[0] and col < layout.grid[1]:
                expected[:, window, slot] = x[:, row, col]
    assert torch.equal(windows, expected)
    assert torch.equal(layout.merge(windows), x)


@pytest.mark.parametrize("num_masks", [0, 1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_groups_permit_the_pairs_of_a_slow_reference(layout, num_masks):
    masks = torch.rand(num_masks, *layout.grid) < 0.5 if num_masks else None

    groups = layout.group_ids(masks, CPU)

    windows = slots_of(layout)
    if groups is None:
        groups = torch.zeros(1, len(windows), len(windows[0]))
    attn_mask = group_attention_mask(groups, groups)
    assert attn_mask.shape[0] == max(num_masks, 1)
    for image, (window, slots) in itertools.product(range(len(attn_mask)), enumerate(windows)):
        mask = None if masks is None else masks[image]
        for (i, query), (j, key) in itertools.product(enumerate(slots), repeat=2):
            outside = [
                row >= layout.grid[0] or col >= layout.grid[1] for row, col, _, _ in (query, key)
            ]
            if all(outside):  # attention among padding tokens is irrelevant
                continue
            expected = may_attend(layout, mask, query, key)
            assert attn_mask[image, window, i, j] == expected, (image, window, query, key)
    assert attn_mask.diagonal(dim1=-2, dim2=-1).all()  # every token may attend to itself


def test_group_ids_are_none_without_mask_padding_and_shift():
    assert WindowLayout((8, 4), (4, 4)).group_ids(None, CPU) is None


def test_fit_clips_the_window_to_each_side_of_the_grid():
    assert WindowLayout.fit((8, 12), 4) == WindowLayout((8, 12), (4, 4), (0, 0))
    assert WindowLayout.fit((3, 9), 7).window == (3, 7)
    assert WindowLayout.fit((3, 5), 7).window == (3, 5)


@pytest.mark.parametrize(
    ("grid", "shift"),
    [((14, 14), (3, 3)), ((7, 7), (0, 0)), ((5, 6), (0, 0)), ((7, 8), (0, 3)), ((9, 3), (3, 0))],
)
def test_fit_shifts_only_along_sides_with_several_windows(grid, shift):
    assert WindowLayout.fit(grid, 7, shifted=True).shift == shift


@pytest.mark.parametrize(
    ("layout", "padded"),
    [
        (WindowLayout((7, 5), (3, 3)), (9, 6)),
        (WindowLayout((8, 8), (4, 4)), (8, 8)),
        (WindowLayout((1, 1), (4, 4)), (4, 4)),
    ],
)
def test_padded_is_the_next_multiple_of_the_window(layout, padded):
    assert layout.padded == padded


@pytest.mark.parametrize(
    ("window", "table_window"),
    [((3, 3), (3, 3)), ((2, 3), (3, 3)), ((1, 1), (4, 4)), ((2, 5), (5, 5))],
)
def test_relative_position_index_equals_a_slow_loop(window, table_window):
    index = relative_position_index(window, table_window, CPU)

    tokens = list(itertools.product(range(window[0]), range(window[1])))
    side = 2 * table_window[1] - 1
    for (i, query), (j, key) in itertools.product(enumerate(tokens), repeat=2):
        # offset (0, 0) lies in the middle of the table for every window
        row = query[0] - key[0] + table_window[0] - 1
        col = query[1] - key[1] + table_window[1] - 1
        assert index[i, j] == row * side + col
    assert index.shape == (len(tokens), len(tokens))
    if window == table_window:
        assert sorted(index.unique().tolist()) == list(range(side * (2 * window[0] - 1)))


def test_resizing_a_bias_table_to_its_own_window_changes_nothing():
    table = torch.randn(25, 4)
    assert torch.allclose(resize_relative_position_bias(table, 3), table, atol=1e-6)


@pytest.mark.parametrize("window", [2, 5, 16])
def test_a_constant_bias_table_stays_constant(window):
    table = torch.tensor([[1.0, -2.0]]).expand(25, 2)
    resized = resize_relative_position_bias(table, window)
    assert resized.shape == ((2 * window - 1) ** 2, 2)
    assert torch.allclose(resized, table[:1].expand_as(resized), atol=1e-5)


def test_enlarging_a_bias_table_keeps_values_at_cell_centers():
    table = torch.randn(9, 2)  # 3 x 3 offsets; each becomes 3 x 3 offsets
    resized = resize_relative_position_bias(table, 5).reshape(9, 9, 2)
    assert torch.allclose(resized[1::3, 1::3].reshape(9, 2), table, atol=1e-5)


def test_a_bias_of_row_offsets_stays_one_when_resized():
    per_row = torch.randn(5, 1, 2)
    table = per_row.expand(5, 5, 2).reshape(25, 2)
    resized = resize_relative_position_bias(table, 4).reshape(7, 7, 2)
    assert torch.allclose(resized, resized[:, :1].expand_as(resized), atol=1e-5)
    assert resized[0, 0, 0] != resized[3, 0, 0]


def test_a_bias_table_is_resized_to_a_window_that_is_not_square():
    offsets = torch.arange(-2.0, 3.0)
    table = (offsets[:, None] + 0 * offsets[None, :]).reshape(25, 1)
    resized = resize_relative_position_bias(table, (6, 3)).reshape(11, 5)
    assert torch.equal(resized[:, 0], resized[:, 4])  # depends only on the row
    assert (resized[1:, 0] > resized[:-1, 0]).all()
    assert resized[5, 0] == pytest.approx(0, abs=1e-6)


def test_heads_are_resized_independently():
    table = torch.randn(25, 3)
    together = resize_relative_position_bias(table, 5)
    for head in range(3):
        alone = resize_relative_position_bias(table[:, head : head + 1], 5)
        assert torch.allclose(together[:, head : head + 1], alone, atol=1e-6)


def test_the_type_of_a_bias_table_is_kept():
    assert resize_relative_position_bias(torch.zeros(9, 1).half(), 3).dtype == torch.float16


@pytest.mark.parametrize("rows", [24, 16, 0])
def test_a_bias_table_of_no_square_window_cannot_be_resized(rows):
    with pytest.raises(ValueError, match=f"{rows} rows"):
        resize_relative_position_bias(torch.zeros(rows, 2), 3)

"""Grids of position embeddings that are stored as rows."""

import math

import pytest
import torch

from mim_plugins.checkpoints.position_grid import reduced_grid, split_positions
from mim_plugins.layers import resize_position_embedding, sincos_position_embedding

DIM = 64


def rows_of(grid, cls=None, noise=0.0):
    """Return the rows (1, L, D) of an embedding, with that of a [CLS] token first if given."""
    torch.manual_seed(0)
    rows = sincos_position_embedding(DIM, grid).flatten(1, 2)
    rows = rows + noise * torch.randn_like(rows)
    first = torch.full((1, 1, DIM), 0.0 if cls is None else cls)
    return rows if cls is None else torch.cat([first, rows], dim=1)


def check(rows, has_token, expected, grid, has_row):
    found = split_positions("pos_embed", rows, has_token, expected)
    assert found.grid.shape[1:3] == grid
    assert (found.cls is not None) == has_row
    assert torch.equal(found.grid.flatten(1, 2), rows[:, int(has_row) :])
    assert found.cls is None or torch.equal(found.cls, rows[:, :1])


@pytest.mark.parametrize("expected", [None, (14, 14), (6, 6), (7, 14)])
@pytest.mark.parametrize("grid", [(14, 14), (16, 16), (4, 4)])
@pytest.mark.parametrize("cls", [None, 0.0, 0.5])
def test_square_grids_are_read_for_any_model(grid, cls, expected):
    check(rows_of(grid, cls, noise=0.2), cls is not None, expected, grid, cls is not None)


@pytest.mark.parametrize("expected", [None, (4, 4), (14, 14), (2, 7)])
def test_a_token_without_position_keeps_all_rows(expected):
    check(rows_of((4, 4)), True, expected, (4, 4), False)
    check(rows_of((14, 14)), True, expected, (14, 14), False)


@pytest.mark.parametrize("grid", [(8, 32), (32, 8), (2, 8), (4, 9), (3, 5), (1, 4)])
@pytest.mark.parametrize(
    ("cls", "has_token"), [(None, False), (None, True), (0.0, False), (0.0, True), (0.5, True)]
)
def test_the_models_grid_is_kept(grid, cls, has_token):
    check(rows_of(grid, cls), has_token, grid, grid, cls is not None)
    resized = resize_position_embedding(sincos_position_embedding(DIM, (14, 14)), grid)
    check(resized.flatten(1, 2), False, grid, grid, False)


def test_untrained_values_keep_the_models_grid():
    for rows in (torch.randn(1, 256, DIM), torch.ones(1, 256, DIM), torch.zeros(1, 256, DIM)):
        check(rows, False, (8, 32), (8, 32), False)
        check(rows, False, None, (16, 16), False)


@pytest.mark.parametrize("expected", [(8, 32), (32, 8)])
def test_squares_of_the_same_count_are_refused(expected):
    with pytest.raises(ValueError, match="257 tokens, whose values are those of a grid of 16x16"):
        split_positions("pos_embed", rows_of((16, 16), 0.5), True, expected)


def smooth(grid, dim, length):
    """Return an embedding (1, L, D) that varies over ``length`` tokens, with little noise."""
    factors = []
    for side, scale in zip(grid, length, strict=True):
        steps = torch.arange(side)
        kernel = torch.exp(-((steps[:, None] - steps).double() ** 2) / (2 * scale**2))
        values, vectors = torch.linalg.eigh(kernel)
        factors.append(vectors * values.clamp(min=0).sqrt())
    noise = torch.randn(*grid, dim).double()
    field = torch.einsum("ab,bcd,ec->aed", factors[0], noise, factors[1])
    return (0.2 * field + 0.01 * torch.randn(*grid, dim)).reshape(1, -1, dim).float()


def linear(grid, dim):
    """Return an embedding (1, L, D) that is linear in row and column, with little noise."""
    rows, columns = (torch.linspace(-1, 1, side) for side in grid)
    places = torch.cartesian_prod(rows, columns)
    return (places @ torch.randn(2, dim) + 0.02 * torch.randn(len(places), dim))[None]


@pytest.mark.parametrize("grid", [(8, 8), (14, 14), (4, 16), (8, 32), (16, 8), (12, 24), (18, 8)])
def test_smooth_embeddings_of_the_models_grid_are_kept(grid):
    torch.manual_seed(0)
    made = [smooth(grid, 192, length) for length in ((2, 2), (7, 7), (14, 14), (3, 30), (30, 3))]
    for rows in (*made, linear(grid, 192), made[1][..., :2] @ torch.randn(2, 192)):
        check(rows, False, grid, grid, False)
        check(torch.cat([torch.zeros(1, 1, 192), rows], dim=1), True, grid, grid, True)


@pytest.mark.parametrize("length", [(2, 2), (7, 7), (14, 14)])
def test_smooth_embeddings_of_other_models_are_no_other_squares(length):
    torch.manual_seed(0)
    check(smooth((14, 14), 64, length), False, (4, 16), (14, 14), False)
    for grid in ((7, 28), (8, 32), (18, 8)):
        for expected in ((4, 16), (10, 10)):
            with pytest.raises(ValueError, match=r"whose (values are those of|grid is unknown)"):
                split_positions("pos_embed", smooth(grid, 64, length), False, expected)


def test_one_token_more_or_less_is_decided_by_the_values():
    check(rows_of((13, 15), 0.5), True, (13, 15), (13, 15), True)
    check(rows_of((14, 14)), True, (13, 15), (14, 14), False)
    check(rows_of((7, 7), 0.5), True, (5, 10), (7, 7), True)
    check(rows_of((5, 10)), True, (5, 10), (5, 10), False)
    with pytest.raises(ValueError, match=r"may be 13x15 and a \[CLS\] token or 14x14, and its"):
        split_positions("pos_embed", torch.randn(1, 196, DIM), True, (13, 15))


@pytest.mark.parametrize("expected", [None, (16, 16), (14, 14), (4, 16)])
def test_rectangles_are_not_taken_for_squares(expected):
    for grid in ((8, 32), (32, 8)):
        message = rf"256 tokens, whose values are those of a grid of {grid[0]}x{grid[1]}, not 16x16"
        with pytest.raises(ValueError, match=message):
            split_positions("pos_embed", rows_of(grid), False, expected)


def test_unknown_grids_of_models_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match=r"197 tokens, whose grid is unknown.*4x16"):
        split_positions("pos_embed", torch.randn(1, 197, DIM), True, (4, 16))


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_tiny_grids_are_square(count):
    rows = torch.randn(1, count, DIM)
    has_row = math.isqrt(count) ** 2 != count
    side = math.isqrt(count - has_row)
    for expected in (None, (14, 14), (4, 16)):
        check(rows, True, expected, (side, side), has_row)


@pytest.mark.parametrize("shape", [(16, 8), (8, 32), (9, 16), (6, 24), (10, 20)])
@pytest.mark.parametrize("cls", [None, 0.5])
def test_transposed_and_other_rectangles_are_refused(shape, cls):
    rows = rows_of(shape, cls, noise=0.2)
    height, width = shape
    for expected in [(width, height), (2 * height, width // 2)]:
        with pytest.raises(ValueError, match=f"of a grid of {height}x{width}, not "):
            split_positions("pos_embed", rows, cls is not None, expected)
    check(rows, cls is not None, shape, shape, cls is not None)


def correlated(length, dim, correlation, seed):
    """Return rows (L, D) of which neighbors have this correlation."""
    noise = torch.Generator().manual_seed(seed)
    rows = [torch.randn(dim, generator=noise)]
    for _ in range(length - 1):
        change = math.sqrt(1 - correlation**2) * torch.randn(dim, generator=noise)
        rows.append(correlation * rows[-1] + change)
    return torch.stack(rows)


@pytest.mark.parametrize("correlation", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("grid", [(14, 14), (12, 12), (6, 6), (16, 8), (6, 16), (8, 18)])
def test_rows_or_columns_may_dominate(grid, correlation):
    """Neighbors half a row apart are then more similar than vertical ones."""
    rows, columns = (correlated(side, 256, correlation, n) for n, side in enumerate(grid))
    for weights in ((1, 0.2), (1, 0.5), (1, 1), (0.5, 1), (0.2, 1)):
        embedding = weights[0] * rows[:, None] + weights[1] * columns
        check(embedding.reshape(1, -1, 256), False, grid, grid, False)


def test_other_counts_are_refused():
    for expected, form in (
        (None, "do not form a square grid"),
        ((4, 8), "form neither a square grid nor the model's grid of 4x8"),
    ):
        with pytest.raises(ValueError, match=f"15 tokens, which {form}; load it into a model"):
            split_positions("pos_embed", torch.randn(1, 15, DIM), False, expected)


def test_grids_of_decoders_have_equal_cells():
    assert reduced_grid((16, 64), 16) == (2, 8)
    assert reduced_grid((16, 64), 1024) == (16, 64)
    assert reduced_grid((16, 64), 17) is None
    assert reduced_grid((2, 2), 9) is None

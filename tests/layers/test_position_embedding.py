import numpy as np
import pytest
import torch
from torch import nn

from mim_plugins.layers import (
    resize_on_load,
    resize_position_embedding,
    sincos_position_embedding,
)


def encode_1d(dim, positions):
    """MAE's ``get_1d_sincos_pos_embed_from_grid``, in float64."""
    omega = 1.0 / 10000 ** (np.arange(dim // 2, dtype=np.float64) / (dim / 2.0))
    angles = np.einsum("m,d->md", positions.reshape(-1).astype(np.float64), omega)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def mae_embedding(dim, grid):
    """MAE's ``get_2d_sincos_pos_embed`` for any grid: first the column, then the row."""
    cols, rows = np.meshgrid(np.arange(grid[1]), np.arange(grid[0]))
    flat = np.concatenate([encode_1d(dim // 2, cols), encode_1d(dim // 2, rows)], axis=1)
    return flat.reshape(1, *grid, dim)


@pytest.mark.parametrize("grid", [(4, 4), (3, 7), (1, 56)])
def test_equals_the_formula_of_mae(grid):
    embedding = sincos_position_embedding(16, grid)
    assert embedding.dtype == torch.float32
    np.testing.assert_allclose(embedding.numpy(), mae_embedding(16, grid), atol=1e-6)


def test_first_half_encodes_the_column_and_second_half_the_row():
    embedding = sincos_position_embedding(8, (5, 6))
    by_column, by_row = embedding.split(4, dim=-1)
    assert torch.equal(by_column, by_column[:, :1].expand_as(by_column))
    assert torch.equal(by_row, by_row[:, :, :1].expand_as(by_row))
    assert len(by_column[0, 0].unique(dim=0)) == 6
    assert len(by_row[0, :, 0].unique(dim=0)) == 5


@pytest.mark.parametrize("dim", [6, 10, 15])
def test_a_dim_must_be_a_multiple_of_four(dim):
    with pytest.raises(ValueError, match=f"dim={dim}"):
        sincos_position_embedding(dim, (2, 2))


def test_resizing_to_the_same_grid_is_the_identity():
    embedding = torch.randn(1, 3, 5, 8)
    assert torch.equal(resize_position_embedding(embedding, (3, 5)), embedding)


def test_resizing_keeps_constants_type_and_channels():
    embedding = torch.arange(8.0).expand(1, 3, 3, 8).half()
    resized = resize_position_embedding(embedding, (5, 4))
    assert resized.dtype == torch.float16
    assert torch.allclose(resized, embedding[:, :1, :1].expand(1, 5, 4, 8), atol=1e-2)


def test_enlarging_an_embedding_keeps_values_at_cell_centers():
    embedding = torch.randn(1, 3, 4, 8)
    resized = resize_position_embedding(embedding, (9, 12))
    assert torch.allclose(resized[:, 1::3, 1::3], embedding, atol=1e-5)


def test_resizing_acts_on_rows_and_columns_not_on_channels():
    embedding = sincos_position_embedding(8, (4, 4))
    resized = resize_position_embedding(embedding, (8, 4))
    # channels of the column do not change along the rows, whose number doubled
    expected = embedding[:, :1, :, :4].expand(1, 8, 4, 4)
    assert torch.allclose(resized[..., :4], expected, atol=1e-6)


class Holder(nn.Module):
    def __init__(self, grid, dim=8):
        super().__init__()
        self.register_buffer("position", torch.randn(1, *grid, dim))
        self.register_load_state_dict_pre_hook(resize_on_load("position"))


@pytest.mark.parametrize("grid", [(4, 4), (6, 3)])
def test_a_checkpoint_of_any_grid_is_loaded_and_resized(grid):
    saved, loaded = nn.ModuleDict(dict(a=Holder((4, 4)))), nn.ModuleDict(dict(a=Holder(grid)))
    loaded.load_state_dict(saved.state_dict())
    expected = resize_position_embedding(saved["a"].position, grid)
    assert torch.equal(loaded["a"].position, expected)


def test_a_checkpoint_of_another_width_or_none_is_refused():
    with pytest.raises(RuntimeError, match="position"):
        Holder((4, 4), dim=8).load_state_dict(Holder((4, 4), dim=12).state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*position"):
        Holder((4, 4)).load_state_dict({})

import pytest
import torch

from mim_plugins.checkpoints import convert
from mim_plugins.checkpoints.selection import select_encoder
from mim_plugins.errors import CheckpointError
from mim_plugins.layers import sincos_position_embedding


def mae(**changes):
    """Return tensors in the MAE authors' layout."""
    names = {
        "cls_token": torch.ones(1, 1, 4),
        "pos_embed": torch.ones(1, 5, 4),
        "patch_embed.proj.weight": torch.ones(4, 3, 2, 2),
        "blocks.0.attn.qkv.weight": torch.ones(12, 4),
    }
    return names | {name.replace("__", "."): tensor for name, tensor in changes.items()}


def test_integers_are_refused_before_they_become_floats():
    for name, tensor in (
        ("cls_token", torch.ones(1, 1, 4, dtype=torch.int64)),
        ("pos_embed", torch.ones(1, 5, 4, dtype=torch.uint8)),
        ("blocks__0__attn__qkv__weight", torch.ones(12, 4, dtype=torch.bool)),
        ("patch_embed__proj__weight", torch.ones(4, 3, 2, 2, dtype=torch.complex64)),
    ):
        with pytest.raises(ValueError, match=rf"MAE of the authors.*{name.replace('__', '.')} \("):
            convert(mae(**{name: tensor}))


def test_dropped_integers_are_accepted():
    tensors = {
        "absolute_pos_embed": torch.ones(1, 4, 8),
        "layers.0.blocks.0.attn.qkv.weight": torch.ones(24, 8),
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(4, 4, dtype=torch.int64),
    }
    _, converted = convert(tensors)
    assert set(converted) == {"backbone.pos_embed", "backbone.stages.0.blocks.0.attn.qkv.weight"}


@pytest.mark.parametrize(
    "changes",
    [
        dict(pos_embed=torch.tensor(1.0)),
        dict(pos_embed=torch.ones(4)),
        dict(pos_embed=torch.ones(1, 2, 2, 4)),
        dict(pos_embed=torch.ones(2, 5, 4)),
        dict(pos_embed=torch.ones(1, 5, 3)),
        dict(pos_embed=torch.ones(1, 7, 4)),
        dict(cls_token=torch.ones(4)),
        dict(decoder_pos_embed=torch.ones(5, 4)),
    ],
)
def test_shapes_that_no_layout_has_raise_one_clear_error(changes):
    with pytest.raises(ValueError, match=r"pos_embed") as caught:
        convert(mae(**changes))
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=r"'f': .*pos_embed"):
        select_encoder(mae(**changes), "backbone.", lambda names: 0, "f", "M")


@pytest.mark.parametrize("shape", [(), (3, 6), (0,)])
def test_merging_layers_without_four_inputs_are_refused(shape):
    tensors = {
        "backbone.absolute_pos_embed": torch.ones(1, 4, 8),
        "backbone.layers.0.blocks.0.ln1.weight": torch.ones(8),
        "backbone.layers.0.downsample.reduction.weight": torch.ones(shape),
    }
    with pytest.raises(ValueError, match=r"downsample\.reduction\.weight must have four inputs"):
        convert(tensors)


def test_an_empty_position_embedding_stays_empty():
    _, converted = convert(mae(pos_embed=torch.ones(1, 0, 4)))
    assert converted["backbone.pos_embed"].shape == (1, 0, 0, 4)


def positions(grid, dim, cls):
    rows = sincos_position_embedding(dim, grid).flatten(1, 2)
    return torch.cat([torch.zeros(1, int(cls), dim), rows], dim=1)


def test_grids_of_encoder_and_decoder_are_those_of_the_model():
    tensors = mae(
        cls_token=torch.ones(1, 1, 8),
        pos_embed=positions((8, 32), 8, True),
        decoder_pos_embed=positions((8, 32), 4, True),
    )
    own = {"pos_embed": torch.zeros(1, 8, 32, 8)}
    for given in (own, {f"backbone.{name}": tensor for name, tensor in own.items()}):
        _, converted = convert(tensors, given)
        for ours, dim in (("backbone.pos_embed", 8), ("decoder.pos_embed", 4)):
            assert torch.equal(converted[ours], sincos_position_embedding(dim, (8, 32)))
    with pytest.raises(ValueError, match="those of a grid of 8x32, not 16x16"):
        convert(tensors)


def test_grids_of_mixmim_decoders_follow_from_the_encoder():
    tensors = {
        "absolute_pos_embed": positions((16, 64), 8, False),
        "decoder_pos_embed": positions((2, 8), 8, False),
        "layers.0.blocks.0.attn.qkv.weight": torch.ones(24, 8),
    }
    _, converted = convert(tensors, {"pos_embed": torch.zeros(1, 16, 64, 8)})
    assert converted["backbone.pos_embed"].shape == (1, 16, 64, 8)
    assert converted["decoder.pos_embed"].shape == (1, 2, 8, 8)


def test_a_token_without_position_is_not_changed():
    tensors = mae(pos_embed=torch.randn(1, 16, 4))
    _, converted = convert(tensors)
    assert torch.equal(converted["backbone.cls_token"], tensors["cls_token"])
    assert torch.equal(converted["backbone.pos_embed"].flatten(1, 2), tensors["pos_embed"])


def test_a_learned_row_of_the_decoder_is_refused():
    with pytest.raises(ValueError, match=r"decoder_pos_embed has a row for a \[CLS\] token that"):
        convert(mae(decoder_pos_embed=torch.ones(1, 5, 4)))

import pytest
import torch

from mim_plugins.checkpoints import convert, recognise
from mim_plugins.checkpoints.layouts import MIXMIM_AUTHORS, MIXMIM_MMPRETRAIN
from mim_plugins.layers import PatchMerging


def authors_checkpoint(**more):
    return {
        "absolute_pos_embed": torch.randn(1, 16, 8),
        "layers.0.blocks.0.attn.qkv.weight": torch.randn(24, 8),
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(4, 4),
        **more,
    }


def test_names_of_the_authors_become_ours():
    tensors = authors_checkpoint(
        **{
            "layers.1.downsample.norm.weight": torch.randn(16),
            "decoder_blocks.3.attn.qkv.bias": torch.randn(6),
            "decoder_blocks.3.mlp.fc2.weight": torch.randn(6, 6),
            "decoder_pred.bias": torch.randn(3),
            "head.weight": torch.randn(5, 8),
        }
    )
    layout, ours = convert(tensors)
    assert layout is MIXMIM_AUTHORS
    assert set(ours) == {
        "backbone.pos_embed",
        "backbone.stages.0.blocks.0.attn.qkv.weight",
        "backbone.stages.2.downsample.norm.weight",
        "decoder.blocks.3.attn.qkv.bias",
        "decoder.blocks.3.mlp.fc2.weight",
        "decoder.pred.bias",
        "head.fc.weight",
    }
    assert ours["backbone.pos_embed"].shape == (1, 4, 4, 8)
    assert torch.equal(ours["backbone.pos_embed"].flatten(1, 2), tensors["absolute_pos_embed"])


def test_patch_merging_of_mmcv_is_permuted():
    transformer = pytest.importorskip("mmcv.cnn.bricks.transformer")
    theirs = transformer.PatchMerging(6, 12)
    torch.nn.init.normal_(theirs.norm.weight)
    torch.nn.init.normal_(theirs.norm.bias)
    ours = PatchMerging(6, 12)
    prefix = "backbone.layers.0.downsample."
    ours.load_state_dict(
        {
            name: MIXMIM_MMPRETRAIN.transform(prefix + name, tensor)
            for name, tensor in theirs.state_dict().items()
        }
    )
    x = torch.randn(2, 4, 8, 6)
    expected, _ = theirs(x.flatten(1, 2), (4, 8))
    torch.testing.assert_close(ours(x).flatten(1, 2), expected)


def test_unknown_layout_names_the_known_ones():
    with pytest.raises(ValueError, match=r"MixMIM/MixMAE of the authors.*conv1"):
        recognise({"conv1.weight", "fc.bias"})


def test_unknown_tensor_in_a_known_layout_is_refused():
    with pytest.raises(ValueError, match=r"surprise\.weight"):
        convert(authors_checkpoint(**{"surprise.weight": torch.zeros(1)}))


def test_position_embedding_of_no_square_grid_is_refused():
    with pytest.raises(ValueError, match="15 tokens"):
        convert(authors_checkpoint(absolute_pos_embed=torch.randn(1, 15, 8)))

import pytest
import torch

from mim_plugins.checkpoints import LAYOUTS, convert, recognize
from mim_plugins.checkpoints.layouts import (
    MAE_AUTHORS,
    MAE_MMPRETRAIN,
    MCMAE_AUTHORS,
    MIXMIM_AUTHORS,
    MIXMIM_MMPRETRAIN,
)
from mim_plugins.layers import PatchMerging
from mim_plugins.registry import MODELS


def authors_checkpoint(**more):
    return {
        "absolute_pos_embed": torch.randn(1, 16, 8),
        "layers.0.blocks.0.attn.qkv.weight": torch.randn(24, 8),
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(4, 4),
        **more,
    }


def test_names_of_the_authors_are_converted():
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


def test_unknown_layouts_tensors_and_grids_are_refused():
    with pytest.raises(ValueError, match=r"MixMIM/MixMAE of the authors.*conv1"):
        recognize({"conv1.weight", "fc.bias"})
    with pytest.raises(ValueError, match=r"surprise\.weight"):
        convert(authors_checkpoint(**{"surprise.weight": torch.zeros(1)}))
    with pytest.raises(ValueError, match="15 tokens"):
        convert(authors_checkpoint(absolute_pos_embed=torch.randn(1, 15, 8)))


DIM = 8
# every name of a pre-training checkpoint with two blocks, and our name
TIMM_BLOCK = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
MMPRETRAIN_BLOCK = ("ln1", "attn.qkv", "attn.proj", "ln2", "ffn.layers.0.0", "ffn.layers.1")
CONV_BLOCK = ("norm1", "conv1", "attn", "conv2", "norm2", "mlp.fc1", "mlp.fc2")


def blocks(theirs, their_modules, ours, our_modules):
    return {
        f"{theirs}.{index}.{their}": f"{ours}.{index}.{our}"
        for index in range(2)
        for their, our in zip(their_modules, our_modules, strict=True)
    }


TIMM_DECODER = {
    "decoder_embed": "decoder.embed",
    "decoder_norm": "decoder.norm",
    "decoder_pred": "decoder.pred",
    **blocks("decoder_blocks", TIMM_BLOCK, "decoder.blocks", TIMM_BLOCK),
}
MODULES = {
    MAE_AUTHORS: {
        "patch_embed.proj": "backbone.patch_embed",
        "norm": "backbone.norm",
        **blocks("blocks", TIMM_BLOCK, "backbone.blocks", TIMM_BLOCK),
        **TIMM_DECODER,
    },
    MAE_MMPRETRAIN: {
        "backbone.patch_embed.projection": "backbone.patch_embed",
        "backbone.ln1": "backbone.norm",
        "neck.decoder_embed": "decoder.embed",
        "neck.ln1": "decoder.norm",
        "neck.decoder_pred": "decoder.pred",
        **blocks("backbone.layers", MMPRETRAIN_BLOCK, "backbone.blocks", TIMM_BLOCK),
        **blocks("neck.decoder_blocks", MMPRETRAIN_BLOCK, "decoder.blocks", TIMM_BLOCK),
    },
    MCMAE_AUTHORS: {
        **{
            f"patch_embed{stage}.{part}": f"backbone.patch_embed{stage}.{part}"
            for stage in (1, 2, 3)
            for part in ("proj", "norm")
        },
        "patch_embed4": "backbone.patch_embed4",
        "stage1_output_decode": "backbone.stage1_output_decode",
        "stage2_output_decode": "backbone.stage2_output_decode",
        "norm": "backbone.norm",
        **blocks("blocks1", CONV_BLOCK, "backbone.stage1", CONV_BLOCK),
        **blocks("blocks2", CONV_BLOCK, "backbone.stage2", CONV_BLOCK),
        **blocks("blocks3", TIMM_BLOCK, "backbone.blocks", TIMM_BLOCK),
        **TIMM_DECODER,
    },
}
TOKENS = {
    MAE_AUTHORS: {
        "cls_token": "backbone.cls_token",
        "pos_embed": "backbone.pos_embed",
        "mask_token": "decoder.mask_token",
        "decoder_pos_embed": "decoder.pos_embed",
    },
    MAE_MMPRETRAIN: {
        "backbone.cls_token": "backbone.cls_token",
        "backbone.pos_embed": "backbone.pos_embed",
        "neck.mask_token": "decoder.mask_token",
        "neck.decoder_pos_embed": "decoder.pos_embed",
    },
    MCMAE_AUTHORS: {
        "pos_embed": "backbone.pos_embed",
        "mask_token": "decoder.mask_token",
        "decoder_pos_embed": "decoder.pos_embed",
    },
}
VIT_LIKE = pytest.mark.parametrize(
    "layout", [MAE_AUTHORS, MAE_MMPRETRAIN], ids=["authors", "mmpretrain"]
)
ALL = pytest.mark.parametrize(
    "layout", sorted(MODULES, key=lambda layout: layout.name), ids=lambda layout: layout.name
)


def names_of(layout):
    """Yield every name of a checkpoint of ``layout`` with our name."""
    modules = {
        f"{theirs}.{part}": f"{ours}.{part}"
        for theirs, ours in MODULES[layout].items()
        for part in ("weight", "bias")
    }
    return modules | TOKENS[layout]


def checkpoint_of(layout):
    """Return all tensors for a grid of 2x2 tokens; the decoder's [CLS] position is zero."""
    prefix_tokens = 0 if layout is MCMAE_AUTHORS else 1
    tensors = {}
    for name in names_of(layout):
        if name.endswith("pos_embed"):
            tensors[name] = torch.randn(1, 4 + prefix_tokens, DIM)
            if "decoder" in name:
                tensors[name][:, :prefix_tokens] = 0
        elif name.endswith("token"):
            tensors[name] = torch.randn(1, 1, DIM)
        else:
            tensors[name] = torch.randn(DIM)
    return tensors


@ALL
def test_every_name_of_a_pre_training_checkpoint_is_converted(layout):
    tensors, names = checkpoint_of(layout), names_of(layout)
    before = {name: tensor.clone() for name, tensor in tensors.items()}

    recognized, ours = convert(tensors)

    assert recognized is layout
    assert set(ours) == set(names.values())
    for theirs, our_name in names.items():
        if theirs.endswith("pos_embed"):
            assert ours[our_name].shape == (1, 2, 2, DIM)
            assert torch.equal(ours[our_name].flatten(1, 2), tensors[theirs][:, -4:])
        elif not theirs.endswith("cls_token"):
            assert torch.equal(ours[our_name], tensors[theirs]), theirs
    assert set(tensors) == set(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors.items())


@ALL
def test_converted_names_are_those_of_our_model(layout):
    arch = dict(depth=2, embed_dims=DIM, num_heads=2)
    backbone = dict(type="MaskedViT", arch=arch, img_size=32)
    if layout is MCMAE_AUTHORS:
        sizes = dict(depths=(2, 2, 2), embed_dims=(DIM,) * 3, mlp_ratios=(1, 1, 1), num_heads=2)
        backbone = dict(type="MaskedConvViT", arch=sizes, img_size=32)
    model = MODELS.build(
        dict(
            type="MRMAE",
            backbone=backbone,
            decoder=dict(type="MAEDecoder", embed_dims=DIM, depth=2, num_heads=2),
            head=dict(type="PixelHead"),
            data_preprocessor=dict(type="MixDataPreprocessor"),
        )
    )

    assert set(names_of(layout).values()) == set(model.state_dict())


@VIT_LIKE
def test_the_cls_position_is_added_to_the_cls_token(layout):
    tensors = checkpoint_of(layout)
    prefix = "" if layout is MAE_AUTHORS else "backbone."
    token, position = tensors[f"{prefix}cls_token"], tensors[f"{prefix}pos_embed"]

    _, ours = convert(tensors)

    assert torch.equal(ours["backbone.cls_token"][0, 0], token[0, 0] + position[0, 0])
    assert position[0, 0].any()


@pytest.mark.parametrize(
    ("layout", "theirs", "ours"),
    [
        (MAE_AUTHORS, "head.weight", "head.fc.weight"),
        (MAE_AUTHORS, "fc_norm.bias", "backbone.fc_norm.bias"),
        (MAE_MMPRETRAIN, "head.fc.weight", "head.fc.weight"),
        (MAE_MMPRETRAIN, "backbone.ln2.bias", "backbone.fc_norm.bias"),
        (MAE_MMPRETRAIN, "data_preprocessor.mean", None),
        (MAE_MMPRETRAIN, "neck.bn.running_var", "neck.bn.running_var"),
        (MCMAE_AUTHORS, "head.weight", "head.fc.weight"),
        (MCMAE_AUTHORS, "fc_norm.bias", "backbone.fc_norm.bias"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_names_of_fine_tuned_checkpoints_are_converted(layout, theirs, ours):
    tensors = checkpoint_of(layout)
    value = torch.randn(DIM)

    recognized, converted = convert(tensors | {theirs: value})

    assert recognized is layout
    added = set(converted) - set(names_of(layout).values())
    assert added == (set() if ours is None else {ours})
    assert ours is None or torch.equal(converted[ours], value)


def test_the_batch_norm_of_linear_probing_is_kept():
    for layout in (MAE_MMPRETRAIN, MIXMIM_MMPRETRAIN):
        assert layout.rename("neck.bn.num_batches_tracked") == "neck.bn.num_batches_tracked"
    counted = checkpoint_of(MAE_MMPRETRAIN) | {"neck.bn.num_batches_tracked": torch.tensor(3)}
    assert convert(counted)[1]["neck.bn.num_batches_tracked"] == 3


@ALL
def test_encoders_without_their_decoders_are_recognized(layout):
    encoder = {
        name: tensor
        for name, tensor in checkpoint_of(layout).items()
        if not name.startswith(("neck.", "decoder_", "mask_token"))
    }

    recognized, ours = convert(encoder)

    assert recognized is layout
    assert all(name.startswith("backbone.") for name in ours)


@ALL
def test_layouts_are_unambiguous_and_refuse_unknown_tensors(layout):
    names = set(checkpoint_of(layout))

    others = [other for other in LAYOUTS if other is not layout]
    assert layout.signature <= names
    assert not any(other.signature <= names for other in others)
    with pytest.raises(ValueError, match=rf"{layout.name}.*unknown: surprise\.weight"):
        convert(checkpoint_of(layout) | {"surprise.weight": torch.zeros(1)})

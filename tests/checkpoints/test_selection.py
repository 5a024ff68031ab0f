import pytest
import torch

from mim_plugins.checkpoints.selection import (
    backbone_class,
    better_prefix,
    describe_blocks,
    select_encoder,
)
from mim_plugins.errors import CheckpointError
from mim_plugins.registry import MODELS

NAMES = ("a.weight", "b.weight", "b.bias", "c.bias")


def tensors(*names):
    return {name: torch.full((1,), float(i)) for i, name in enumerate(names)}


def fit(names):
    return len(names & set(NAMES)) / len(NAMES)


def select(content, prefix):
    return select_encoder(content, prefix, fit, "x.pth", "Model")


WHOLE = tensors(*(f"backbone.{name}" for name in NAMES), "decoder.x", "decoder.y", "mimics.z")


@pytest.mark.parametrize("prefix", ["backbone.", "backbone"])
def test_the_prefix_separates_the_encoder_from_the_rest(prefix):
    encoder = select(WHOLE, prefix)
    assert encoder.tensors == {name: WHOLE[f"backbone.{name}"] for name in NAMES}
    assert encoder.others == {"decoder": 2, "mimics": 1}


@pytest.mark.parametrize("prefix", [None, "backbone."])
def test_a_plain_backbone_works_with_and_without_the_prefix(prefix):
    encoder = select(tensors(*NAMES), prefix)
    assert set(encoder.tensors) == set(NAMES)
    assert encoder.others == {}


@pytest.mark.parametrize("prefix", [None, "encoder.", "backbone.backbone."])
def test_a_wrong_prefix_suggests_the_fitting_one(prefix):
    with pytest.raises(
        CheckpointError, match=r"'x\.pth'.*'backbone\.' \(4\), 'decoder\.' \(2\).*'backbone\.', wh"
    ):
        select(WHOLE, prefix)


def test_wrong_prefixes_of_other_files_are_refused():
    content = tensors(*(f"model.student.{name}" for name in NAMES))
    with pytest.raises(CheckpointError, match=r"use prefix='model\.student\.'"):
        select(content, "backbone.")
    with pytest.raises(CheckpointError, match="prefix=None"):
        select(tensors(*NAMES), "encoder.")
    with pytest.raises(CheckpointError, match="none of them fits"):
        select(tensors("conv1.weight", "layer1.0.conv1.weight"), None)


def test_better_prefix_is_none_if_the_given_one_is_best():
    assert better_prefix(WHOLE, NAMES, fit) is None
    assert "backbone." in better_prefix(WHOLE, ("x", "y"), fit)
    # never the decoder, or a stage of another encoder
    assert better_prefix(tensors(*NAMES), NAMES, fit) is None
    decoder = tensors(*(f"decoder.{name}" for name in NAMES), "backbone.other")
    assert better_prefix(decoder, ("other",), fit) is None
    stages = tensors(*(f"backbone.stages.2.{name}" for name in NAMES))
    assert better_prefix(stages, "backbone.", fit) is None


@pytest.mark.parametrize("prefix", [None, "backbone."])
def test_another_code_bases_layout_is_converted(prefix):
    content = tensors(
        "absolute_pos_embed", "layers.0.blocks.0.attn.qkv.weight", "decoder_pred.bias"
    )
    content["absolute_pos_embed"] = torch.randn(1, 4, 8)
    encoder = select(content, prefix)
    assert set(encoder.tensors) == {"pos_embed", "stages.0.blocks.0.attn.qkv.weight"}
    assert encoder.others == {"decoder": 1}
    assert "MixMIM" in encoder.origin


@pytest.mark.parametrize("beginning", ["", "backbone.", "student."])
def test_an_encoder_named_like_another_layout_is_kept(beginning):
    names = ("pos_embed", "blocks.0.attn.qkv.weight", "patch_embed.proj.weight", "fc_norm.bias")
    content = tensors(*(beginning + name for name in names[:3]))
    encoder = select_encoder(
        content,
        beginning or None,
        lambda found: len(found & set(names)) / len(names),
        "x.pth",
        "Model",
        tensors(*names),
    )
    assert set(encoder.tensors) == set(names[:3])


def test_another_code_bases_layout_has_no_other_prefix():
    content = tensors("absolute_pos_embed", "layers.0.blocks.0.attn.qkv.weight")
    with pytest.raises(CheckpointError, match=r"MixMIM.*use prefix='backbone\.'"):
        select(content, "encoder.")


def test_an_unknown_tensor_of_a_layout_names_the_file():
    content = tensors("absolute_pos_embed", "layers.0.blocks.0.attn.qkv.weight", "surprise")
    content["absolute_pos_embed"] = torch.randn(1, 4, 8)
    with pytest.raises(CheckpointError, match=r"x\.pth.*surprise"):
        select(content, None)


HEADS = ("head.layers.head.weight", "decode_head.conv_seg.weight", "rpn_head.a.0", "ema_backbone_x")


@pytest.mark.parametrize("beginning", ["", "model."])
@pytest.mark.parametrize(
    ("pair", "found"),
    [
        (("cls_token", "layers.0.ln1.weight"), {"cls_token", "blocks.0.norm1.weight"}),
        (
            ("absolute_pos_embed", "layers.0.blocks.0.ln1.weight"),
            {"pos_embed", "stages.0.blocks.0.norm1.weight"},
        ),
    ],
)
def test_encoders_of_mmpretrain_are_found_in_any_model(pair, found, beginning):
    content = tensors(*(f"backbone.{name}" for name in pair), *HEADS)
    if "backbone.absolute_pos_embed" in content:
        content["backbone.absolute_pos_embed"] = torch.randn(1, 4, 8)
    encoder = select({beginning + name: each for name, each in content.items()}, beginning)
    assert set(encoder.tensors) == found
    assert encoder.others == dict(head=1, decode_head=1, rpn_head=1, ema_backbone_x=1)
    content["backbone.surprise"] = content["head.layers.head.weight"]
    with pytest.raises(CheckpointError, match=r"x\.pth.*are unknown: backbone\.surprise;"):
        select(content, "backbone.")


TINY = dict(
    MaskedSwin=dict(arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)), window_size=4),
    MaskedPVT=dict(
        arch=dict(embed_dims=(8, 16), depths=(1, 1), num_heads=(1, 2), mlp_ratios=(2, 2))
    ),
    MaskedViT=dict(arch=dict(depth=3, embed_dims=8, num_heads=2), with_cls_token=False),
    MaskedConvViT=dict(
        arch=dict(depths=(1, 1, 2), embed_dims=(8, 8, 16), mlp_ratios=(2, 2, 2), num_heads=2)
    ),
)


@pytest.mark.parametrize("name", sorted(TINY))
def test_backbones_are_recognized_by_their_tensors(name):
    backbone = MODELS.build(dict(type=f"mim_plugins.{name}", img_size=32, **TINY[name]))
    assert backbone_class(backbone.state_dict()) == name
    assert backbone_class({"conv1.weight", "norm.weight"}) is None


def test_blocks_are_counted_with_their_width():
    vit = MODELS.build(dict(type="mim_plugins.MaskedViT", img_size=32, **TINY["MaskedViT"]))
    shapes = {name: tuple(tensor.shape) for name, tensor in vit.state_dict().items()}
    assert describe_blocks(shapes) == "blocks 3 x 8"

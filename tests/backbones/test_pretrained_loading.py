"""Checkpoints of real pre-training runs load exactly into encoders."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from mmengine.model import ModuleList
from pretrained_encoders import (
    EACH,
    HIERARCHICAL,
    TRAINED_BACKBONES,
    assert_loaded,
    backbone_cfg,
    build,
    encoder_of,
    pretrained,
)

from mim_plugins.checkpoints import convert, read_reference, read_tensors
from mim_plugins.errors import CheckpointError
from mim_plugins.layers import resize_position_embedding
from mim_plugins.registry import MODELS

DATA = Path(__file__).parents[1] / "data"


@EACH
def test_a_file_of_the_runner_holds_more_than_the_encoder(checkpoints, name):
    content = torch.load(checkpoints[name], weights_only=False)
    assert {"state_dict", "optimizer", "message_hub"} <= set(content)
    assert any(key.startswith("decoder.") for key in content["state_dict"])


@EACH
def test_an_encoder_is_loaded_completely_with_one_log_line(checkpoints, name, log):
    backbone = build(name, checkpoints[name])
    backbone.init_weights()
    encoder = encoder_of(checkpoints[name])
    assert_loaded(backbone, encoder)
    decoder = len(read_tensors(checkpoints[name])) - len(encoder)
    assert len(log) == 1
    assert f"loaded {len(encoder)} tensors" in log[0]
    assert f"unexpected: {decoder} (decoder {decoder})" in log[0]


@EACH
def test_a_second_call_does_not_load_again(checkpoints, name, log):
    backbone = build(name, checkpoints[name])
    backbone.init_weights()
    with torch.no_grad():
        backbone.patch_before = next(backbone.parameters()).fill_(7.0).clone()
    backbone.init_weights()
    assert len(log) == 1
    assert (next(backbone.parameters()) == 7.0).all()


@EACH
def test_another_input_size_is_resized_and_reported(checkpoints, name, log):
    changes = dict(window_size=(4, 4, 4)) if name == "MaskedSwin" else {}
    backbone = build(name, checkpoints[name], img_size=96, **changes)
    backbone.init_weights()
    encoder = encoder_of(checkpoints[name])
    position = next(key for key in encoder if key.endswith("pos_embed"))
    grid = tuple(backbone.state_dict()[position].shape[1:3])
    expected = resize_position_embedding(encoder[position], grid)
    assert grid != tuple(encoder[position].shape[1:3])
    assert torch.equal(backbone.state_dict()[position], expected)
    tables = [key for key in encoder if key.endswith("relative_position_bias_table")]
    resized = {"MaskedSwin": 1 + sum(encoder[key].shape[0] == 225 for key in tables)}
    count = resized.get(name, sum(key.endswith("pos_embed") for key in encoder))
    assert f"{count} of them resized" in log[0]


@pytest.mark.parametrize(
    ("reference", "name", "changes"),
    [
        (
            "mixmim_tiny.npz",
            "MaskedSwin",
            dict(
                arch=dict(embed_dims=16, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8)),
                img_size=128,
                window_size=(8, 8, 8, 4),
            ),
        ),
        ("mcmae_tiny.npz", "MaskedConvViT", None),
    ],
)
@pytest.mark.parametrize("prefix", [None, "backbone."])
def test_files_of_the_authors_load_as_they_are(tmp_path, reference, name, changes, prefix, log):
    content = read_reference(DATA / reference)
    if changes is None:
        sizes = json.loads(content["config"])
        changes = dict(
            img_size=sizes.get("img_size", 224),
            arch=dict(
                depths=sizes["depth"],
                embed_dims=sizes["embed_dim"],
                mlp_ratios=sizes.get("mlp_ratio", (4, 4, 4)),
                num_heads=sizes["num_heads"],
            ),
        )
    file = tmp_path / "authors.pth"
    torch.save({"model": content["param"], "epoch": 599, "args": argparse.Namespace(lr=1e-3)}, file)
    backbone = build(name, file, prefix, **changes)
    backbone.init_weights()
    _, ours = convert(content["param"])
    encoder = {n.removeprefix("backbone."): t for n, t in ours.items() if n.startswith("backbone.")}
    assert_loaded(backbone, encoder)
    assert "of the authors" in log[0]


def test_a_list_of_initializations_ends_with_the_checkpoint(checkpoints):
    backbone = MODELS.build(
        backbone_cfg(
            "MaskedSwin",
            init_cfg=[
                pretrained(checkpoints["MaskedSwin"]),
                dict(type="Constant", layer="Linear", val=3.0),
            ],
        )
    )
    backbone.init_weights()
    assert_loaded(backbone, encoder_of(checkpoints["MaskedSwin"]))


@EACH
def test_the_initialization_of_children_keeps_the_loaded_weights(checkpoints, name):
    backbone = build(name, checkpoints[name])
    child = "stages" if name in HIERARCHICAL else "blocks"
    constant = dict(type="Constant", layer=["Linear", "LayerNorm"], val=3.0)
    setattr(backbone, child, ModuleList(getattr(backbone, child), init_cfg=constant))
    backbone.init_weights()
    assert_loaded(backbone, encoder_of(checkpoints[name]))


def test_the_record_of_initializations_names_the_file(checkpoints, monkeypatch):
    backbone = build("MaskedViT", checkpoints["MaskedViT"])
    recorded = {}

    def dump(self):
        recorded.update({n: self._params_init_info[p] for n, p in self.named_parameters()})

    monkeypatch.setattr(type(backbone), "_dump_init_info", dump)
    backbone.init_weights()
    assert "loaded from" in recorded["blocks.0.attn.qkv.weight"]["init_info"]
    assert not hasattr(backbone, "_params_init_info")


@EACH
@pytest.mark.parametrize(
    ("prefix", "cause"),
    [("encoder.", r"use prefix='backbone\.'"), (None, r"use prefix='backbone\.'")],
)
def test_a_wrong_prefix_never_leaves_a_random_backbone(checkpoints, name, prefix, cause):
    with pytest.raises(CheckpointError, match=cause):
        build(name, checkpoints[name], prefix).init_weights()


@EACH
def test_another_backbone_is_refused(checkpoints, name):
    for other in set(TRAINED_BACKBONES) - {name}:
        with pytest.raises(CheckpointError, match=rf"epoch_1\.pth.*does not fit {name}"):
            build(name, checkpoints[other]).init_weights()


def test_a_deeper_encoder_is_refused(checkpoints):
    arch = dict(depth=4, embed_dims=16, num_heads=2)
    with pytest.raises(CheckpointError, match="contains blocks 3 x 16, the model blocks 4 x 16"):
        build("MaskedViT", checkpoints["MaskedViT"], arch=arch).init_weights()


@pytest.mark.parametrize("with_cls_token", [True, False])
def test_a_class_token_must_be_in_both_or_none(tmp_path, with_cls_token):
    saved = MODELS.build(backbone_cfg("MaskedViT", with_cls_token=with_cls_token))
    torch.save(saved.state_dict(), tmp_path / "x.pth")
    what = "unknown to the model" if with_cls_token else "missing in the file"
    with pytest.raises(CheckpointError, match=f"1 {what}: cls_token"):
        build("MaskedViT", tmp_path / "x.pth", with_cls_token=not with_cls_token).init_weights()

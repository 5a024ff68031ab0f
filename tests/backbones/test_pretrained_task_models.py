"""Checkpoints of real pre-training runs load exactly into classifiers, detectors and segmentors."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from pretrained_encoders import (
    EACH,
    HIERARCHICAL,
    assert_loaded,
    backbone_cfg,
    build,
    encoder_of,
    pretrained,
)
from tiny_models import mixmae_config, mrmae_config

from mim_plugins.checkpoints import read_tensors
from mim_plugins.errors import CheckpointError
from mim_plugins.registry import MODELS

CLASSIFIERS = dict(
    MaskedSwin=((), ()),
    MaskedPVT=((), ()),
    MaskedViT=(("norm.",), ("fc_norm.",)),
    MaskedConvViT=(("norm.",), ("fc_norm.",)),
)


def classifier(name, checkpoint, **changes):
    pytest.importorskip("mmpretrain.models")
    width = 32 if name in HIERARCHICAL else 16
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return MODELS.build(
            dict(
                type="mmpretrain.ImageClassifier",
                backbone=backbone_cfg(
                    name, out_type="avg_featmap", init_cfg=pretrained(checkpoint), **changes
                ),
                head=dict(type="mmpretrain.LinearClsHead", num_classes=3, in_channels=width),
            )
        )


@EACH
def test_a_classifier_gets_every_tensor(checkpoints, name, log):
    model = classifier(name, checkpoints[name])
    model.init_weights()
    left, new = CLASSIFIERS[name]
    assert_loaded(model.backbone, encoder_of(checkpoints[name]), left, new)
    assert len(log) == 1
    assert ("backbone.norm 2" in log[0]) == bool(left)


def test_convolution_stages_may_be_left_unfused(checkpoints, log):
    model = classifier("MaskedConvViT", checkpoints["MaskedConvViT"], fuse_stages=False)
    model.init_weights()
    left = ("norm.", "stage1_output_decode.", "stage2_output_decode.")
    assert_loaded(model.backbone, encoder_of(checkpoints["MaskedConvViT"]), left, ("fc_norm.",))
    assert "backbone.stage1_output_decode 2" in log[0]


@EACH
def test_a_fine_tuned_classifier_loads_too(checkpoints, name, tmp_path, log):
    model = classifier(name, checkpoints[name])
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / "tuned.pth")

    again = classifier(name, tmp_path / "tuned.pth")
    again.init_weights()
    assert_loaded(again.backbone, encoder_of(tmp_path / "tuned.pth"))

    left, new = CLASSIFIERS[name]
    maps = build(name, tmp_path / "tuned.pth")
    maps.init_weights()
    assert_loaded(maps, encoder_of(tmp_path / "tuned.pth"), left=new, new=left)
    assert "head 2" in log[-1]


def stages_of(name):
    if name == "MaskedViT":
        return (0, 2), (16, 16)
    return (0, 1, 2), (8, 16, 32) if name in HIERARCHICAL else (8, 12, 16)


@EACH
def test_mask_rcnn_gets_every_tensor(checkpoints, name, log):
    mmdet = pytest.importorskip("mmdet.models")
    file = Path(mmdet.__file__).parents[1] / ".mim/configs/_base_/models/mask-rcnn_r50_fpn.py"
    indices, channels = stages_of(name)
    cfg = Config.fromfile(file).model
    cfg.neck.update(in_channels=list(channels), out_channels=8)
    cfg.rpn_head.update(in_channels=8, feat_channels=8)
    cfg.backbone = backbone_cfg(name, out_indices=indices, init_cfg=pretrained(checkpoints[name]))
    cfg.type = "mmdet.MaskRCNN"
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(cfg)
        model.init_weights()
    assert_loaded(model.backbone, encoder_of(checkpoints[name]), new=("out_norms.",))
    assert len(log) == 1


@EACH
def test_a_segmentor_gets_every_tensor(checkpoints, name, log):
    pytest.importorskip("mmseg.models")
    indices, channels = stages_of(name)
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = MODELS.build(
            dict(
                type="mmseg.EncoderDecoder",
                backbone=backbone_cfg(
                    name, out_indices=indices, init_cfg=pretrained(checkpoints[name])
                ),
                decode_head=dict(
                    type="mmseg.FCNHead",
                    in_channels=channels[-1],
                    in_index=-1,
                    channels=8,
                    num_classes=3,
                    norm_cfg=dict(type="BN"),
                ),
                test_cfg=dict(mode="whole"),
            )
        )
        model.init_weights()
    assert_loaded(model.backbone, encoder_of(checkpoints[name]), new=("out_norms.",))
    assert len(log) == 1


@EACH
def test_a_classifier_ignores_intermediate_norms_of_a_detector(checkpoints, name, tmp_path, log):
    if name == "MaskedViT":
        pytest.skip("it has no such norms")
    maps = build(name, checkpoints[name], out_indices=(0, 2))
    maps.init_weights()
    torch.save({f"backbone.{n}": t for n, t in maps.state_dict().items()}, tmp_path / "x.pth")
    backbone = build(name, tmp_path / "x.pth")
    backbone.init_weights()
    assert_loaded(backbone, encoder_of(tmp_path / "x.pth"), left=("out_norms.",))
    assert "backbone.out_norms.0 2" in log[-1]


@EACH
def test_a_loaded_model_keeps_the_weights_of_its_parts(checkpoints, name):
    constant = dict(type="Constant", layer=["Linear", "LayerNorm"], val=3.0)
    config = (mixmae_config if name in HIERARCHICAL else mrmae_config)(
        backbone_cfg(name, init_cfg=constant), init_cfg=pretrained(checkpoints[name], prefix=None)
    )
    model = MODELS.build(config)
    model.init_weights()
    assert_loaded(model, read_tensors(checkpoints[name]))


def test_a_checkpoint_that_does_not_exist_stops_the_whole_model():
    with pytest.raises(CheckpointError, match=r"no checkpoint 'absent\.pth'"):
        classifier("MaskedSwin", "absent.pth").init_weights()

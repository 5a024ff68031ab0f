"""Checkpoints of real pre-training runs load exactly into the models of each task."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import ModuleList
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES, mixmae_config, mrmae_config
from torch.utils.data import Dataset

from mim_plugins.checkpoints import convert, read_reference, read_tensors
from mim_plugins.errors import CheckpointError
from mim_plugins.layers import resize_position_embedding
from mim_plugins.registry import MODELS

DATA = Path(__file__).parents[1] / "data"
BACKBONES = dict(
    MaskedSwin=TINY_BACKBONES["large_windows"],
    MaskedPVT=TINY_BACKBONES["pvt"],
    MaskedViT=PLAIN_BACKBONES["vit"],
    MaskedConvViT=PLAIN_BACKBONES["conv_vit"],
)
HIERARCHICAL = ("MaskedSwin", "MaskedPVT")
EACH = pytest.mark.parametrize("name", sorted(BACKBONES))


class _Noise(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8))


def backbone_cfg(name, **changes):
    return BACKBONES[name] | dict(img_size=64) | changes


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Return checkpoints of MMEngine's runner, with optimizer and log buffers, by backbone."""
    files = {}
    for name in BACKBONES:
        folder = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope("mmengine"):
            Runner(
                model=(mixmae_config if name in HIERARCHICAL else mrmae_config)(backbone_cfg(name)),
                work_dir=str(folder),
                experiment_name=f"pretrained_loading_{name}",
                train_dataloader=dict(
                    dataset=_Noise(),
                    batch_size=2,
                    sampler=dict(type="DefaultSampler", shuffle=False),
                    collate_fn=dict(type="default_collate"),
                ),
                train_cfg=dict(by_epoch=True, max_epochs=1),
                optim_wrapper=dict(optimizer=dict(type="AdamW", lr=1e-2)),
            ).train()
        files[name] = str(folder / "epoch_1.pth")
    return files


def pretrained(checkpoint, prefix="backbone."):
    return dict(type="Pretrained", checkpoint=str(checkpoint), prefix=prefix)


def build(name, checkpoint, prefix="backbone.", **changes):
    return MODELS.build(backbone_cfg(name, init_cfg=pretrained(checkpoint, prefix), **changes))


def encoder_of(checkpoint):
    return {
        name.removeprefix("backbone."): tensor
        for name, tensor in read_tensors(checkpoint).items()
        if name.startswith("backbone.")
    }


def assert_loaded(backbone, encoder, left=(), new=()):
    """Check that ``backbone`` equals ``encoder`` exactly, except for the tensors of ``left``."""
    own = backbone.state_dict()
    assert {name for name in encoder if name not in own} == {
        name for name in encoder if name.startswith(left)
    }
    assert all(name.startswith(new) for name in own if name not in encoder)
    for name in set(own) & set(encoder):
        assert torch.equal(own[name], encoder[name]), name


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(
        "mim_plugins.checkpoints.pretrained.print_log", lambda text, logger: lines.append(text)
    )
    return lines


@EACH
def test_a_file_of_the_runner_holds_more_than_the_encoder(checkpoints, name):
    content = torch.load(checkpoints[name], weights_only=True)
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


@EACH
def test_a_loaded_model_keeps_the_weights_of_its_parts(checkpoints, name):
    constant = dict(type="Constant", layer=["Linear", "LayerNorm"], val=3.0)
    config = (mixmae_config if name in HIERARCHICAL else mrmae_config)(
        backbone_cfg(name, init_cfg=constant), init_cfg=pretrained(checkpoints[name], prefix=None)
    )
    model = MODELS.build(config)
    model.init_weights()
    assert_loaded(model, read_tensors(checkpoints[name]))


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
    for other in set(BACKBONES) - {name}:
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


def test_a_checkpoint_that_does_not_exist_stops_the_whole_model():
    with pytest.raises(CheckpointError, match=r"no checkpoint 'absent\.pth'"):
        classifier("MaskedSwin", "absent.pth").init_weights()

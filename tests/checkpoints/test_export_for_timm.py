"""Exported encoders load into models of timm."""

import pytest
import torch
from exported_backbones import CONFIGS, SWIN, VIT, assert_same_bits, random_backbone, save_training

from mim_plugins.checkpoints import export_backbone, load_pretrained, read_tensors, to_timm
from mim_plugins.checkpoints.selection import backbone_class
from mim_plugins.errors import CheckpointError

pytest.importorskip("safetensors")
HAS_TIMM = pytest.mark.parametrize("name", ["swin", "vit", "vit_without_class", "vit_pooled"])


@HAS_TIMM
@pytest.mark.parametrize("end", ["safetensors", "pth"])
def test_a_file_for_timm_is_restored_exactly(tmp_path, name, end):
    saved = random_backbone(CONFIGS[name])
    source = save_training(tmp_path / "epoch_1.pth", saved)

    done = export_backbone(source, tmp_path / f"out.{end}", "timm")

    assert done.backbone == CONFIGS[name]["type"].removeprefix("mim_plugins.")
    loaded = random_backbone(CONFIGS[name])
    load_pretrained(loaded, tmp_path / f"out.{end}", None)
    assert_same_bits(loaded, saved)


SIZES = dict(img_size=64, patch_size=16, embed_dim=16, depth=2, num_heads=2, num_classes=0)
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("with_cls_token", [True, False])
def test_timms_vision_transformer_gives_the_same_features(tmp_path, with_cls_token):
    timm = pytest.importorskip("timm.models.vision_transformer")
    ours = random_backbone(VIT | dict(with_cls_token=with_cls_token))
    export_backbone(save_training(tmp_path / "x.pth", ours), tmp_path / "out.pth", "timm")
    theirs = timm.VisionTransformer(
        **SIZES, class_token=with_cls_token, global_pool="token" if with_cls_token else ""
    ).eval()

    theirs.load_state_dict(torch.load(tmp_path / "out.pth", weights_only=True), strict=True)

    with torch.no_grad():
        features = ours(IMAGES)[0].flatten(2).transpose(1, 2)
        expected = theirs.forward_features(IMAGES)[:, int(with_cls_token) :]
    assert features.std() > 0.1
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=0)


def test_timms_pooled_vit_gives_the_same_features(tmp_path):
    timm = pytest.importorskip("timm.models.vision_transformer")
    ours = random_backbone(VIT | dict(out_type="avg_featmap"))
    export_backbone(save_training(tmp_path / "x.pth", ours), tmp_path / "out.safetensors", "timm")
    theirs = timm.VisionTransformer(**SIZES, global_pool="avg").eval()
    theirs.load_state_dict(read_tensors(tmp_path / "out.safetensors"), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGES)[0], theirs(IMAGES), atol=1e-5, rtol=0)


def test_timms_swin_gives_the_same_features_without_pos_embed(tmp_path):
    timm = pytest.importorskip("timm.models.swin_transformer")
    ours = random_backbone(SWIN)
    ours.pos_embed.zero_()
    done = export_backbone(save_training(tmp_path / "x.pth", ours), tmp_path / "o.pth", "timm")
    assert done.foreign == ("pos_embed",)
    theirs = timm.SwinTransformer(
        img_size=64,
        embed_dim=8,
        depths=(2, 2, 2),
        num_heads=(1, 2, 4),
        window_size=4,
        num_classes=0,
    ).eval()
    tensors = torch.load(tmp_path / "o.pth", weights_only=True)
    tensors.pop("pos_embed")

    theirs.load_state_dict(tensors, strict=True)

    with torch.no_grad():
        features = ours(IMAGES)[0].permute(0, 2, 3, 1)
        expected = theirs.forward_features(IMAGES)
    assert features.std() > 0.1
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["pvt", "conv_vit"])
def test_a_backbone_without_a_timm_model_is_refused(tmp_path, name):
    source = save_training(tmp_path / "x.pth", random_backbone(CONFIGS[name]))
    with pytest.raises(CheckpointError, match=r"no model for Masked(PVT|ConvViT).*safetensors"):
        export_backbone(source, tmp_path / "out.pth", "timm")
    assert not (tmp_path / "out.pth").exists()


def test_a_tensor_that_timm_lacks_is_refused():
    tensors = random_backbone(VIT).state_dict()
    tensors["blocks.0.surprise.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"has no tensors blocks\.0\.surprise\.weight"):
        to_timm(tensors, backbone_class(tensors))


def test_a_non_square_grid_is_refused_for_timm():
    tensors = random_backbone(VIT | dict(img_size=(64, 32))).state_dict()
    with pytest.raises(CheckpointError, match=r"grid is 4x2.*safetensors"):
        to_timm(tensors, "MaskedViT")


@pytest.mark.parametrize("size", [(64, 64), (128, 512), (32, 128)])
@pytest.mark.parametrize("has_position", [True, False])
def test_vits_of_timm_load_with_any_grid_and_class_token(tmp_path, size, has_position):
    timm = pytest.importorskip("timm.models.vision_transformer")
    theirs = timm.VisionTransformer(
        img_size=size,
        patch_size=16,
        embed_dim=16,
        depth=2,
        num_heads=2,
        num_classes=0,
        no_embed_class=not has_position,
    ).eval()
    torch.nn.init.normal_(theirs.pos_embed)
    torch.save(theirs.state_dict(), tmp_path / "timm.pth")
    ours = random_backbone(VIT | dict(img_size=size))
    load_pretrained(ours, tmp_path / "timm.pth", None)
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        features = ours(images)[0].flatten(2).transpose(1, 2)
        expected = theirs.forward_features(images)[:, 1:]
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=0)

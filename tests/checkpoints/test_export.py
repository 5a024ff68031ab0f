import json
import struct

import pytest
import torch

from mim_plugins.checkpoints import (
    convert,
    export_backbone,
    load_pretrained,
    read_tensors,
    to_timm,
)
from mim_plugins.checkpoints.selection import backbone_class
from mim_plugins.errors import CheckpointError
from mim_plugins.registry import MODELS

pytest.importorskip("safetensors")

SWIN = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(2, 2, 2), num_heads=(1, 2, 4)),
    img_size=64,
    window_size=4,
    shift_windows=True,
)
VIT = dict(
    type="mim_plugins.MaskedViT", arch=dict(depth=2, embed_dims=16, num_heads=2), img_size=64
)
CONFIGS = dict(
    swin=SWIN,
    pvt=dict(
        type="mim_plugins.MaskedPVT",
        arch=dict(
            embed_dims=(8, 16, 32), depths=(1, 2, 1), num_heads=(1, 2, 4), mlp_ratios=(2, 2, 2)
        ),
        img_size=64,
    ),
    vit=VIT,
    vit_without_class=VIT | dict(with_cls_token=False),
    vit_pooled=VIT | dict(out_type="avg_featmap", learn_pos_embed=True),
    conv_vit=dict(
        type="mim_plugins.MaskedConvViT",
        arch=dict(depths=(1, 1, 2), embed_dims=(8, 12, 16), mlp_ratios=(2, 2, 2), num_heads=2),
        img_size=64,
    ),
)
EACH = pytest.mark.parametrize("name", sorted(CONFIGS))
HAS_TIMM = pytest.mark.parametrize("name", ["swin", "vit", "vit_without_class", "vit_pooled"])


def random_backbone(cfg):
    """Return a backbone in evaluation mode with random tensors, each with a -0.0."""
    backbone = MODELS.build(cfg)
    with torch.no_grad():
        for name, tensor in backbone.state_dict().items():
            if not name.endswith("pos_embed"):
                tensor.normal_(std=0.3)
                tensor.flatten()[0] = -0.0
    return backbone.eval()


def save_training(path, backbone):
    content = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    content["decoder.mask_token"] = torch.randn(1, 1, 8)
    torch.save(dict(state_dict=content, optimizer=dict(state={})), path)
    return path


def bits(tensor):
    return tensor.contiguous().numpy().tobytes()


def assert_same_bits(loaded, saved):
    ours, theirs = loaded.state_dict(), saved.state_dict()
    assert set(ours) == set(theirs)
    for name, tensor in ours.items():
        assert bits(tensor) == bits(theirs[name]), name


@EACH
@pytest.mark.parametrize(("file_format", "end"), [("safetensors", "safetensors"), ("torch", "pth")])
def test_a_plain_backbone_is_restored_exactly(tmp_path, name, file_format, end):
    saved = random_backbone(CONFIGS[name])
    source = save_training(tmp_path / "epoch_1.pth", saved)

    done = export_backbone(source, tmp_path / f"out.{end}", file_format)

    assert set(done.tensors) == set(saved.state_dict())
    for prefix in (None, "backbone."):
        loaded = random_backbone(CONFIGS[name])
        report = load_pretrained(loaded, tmp_path / f"out.{end}", prefix)
        assert_same_bits(loaded, saved)
        assert report.unexpected == {}
        assert report.resized == ()


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


def test_the_header_contains_format_source_and_class(tmp_path):
    source = save_training(tmp_path / "epoch_1.pth", random_backbone(VIT))
    export_backbone(source, tmp_path / "out.safetensors")
    raw = (tmp_path / "out.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    assert header["__metadata__"] == {
        "format": "pt",
        "mim_plugins_format": "1",
        "names": "safetensors",
        "source": "epoch_1.pth",
        "backbone": "MaskedViT",
    }
    assert str(tmp_path) not in str(header)


IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("with_cls_token", [True, False])
def test_timms_vision_transformer_gives_the_same_features(tmp_path, with_cls_token):
    timm = pytest.importorskip("timm.models.vision_transformer")
    ours = random_backbone(VIT | dict(with_cls_token=with_cls_token))
    export_backbone(save_training(tmp_path / "x.pth", ours), tmp_path / "out.pth", "timm")
    theirs = timm.VisionTransformer(
        img_size=64,
        patch_size=16,
        embed_dim=16,
        depth=2,
        num_heads=2,
        num_classes=0,
        class_token=with_cls_token,
        global_pool="token" if with_cls_token else "",
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
    theirs = timm.VisionTransformer(
        img_size=64,
        patch_size=16,
        embed_dim=16,
        depth=2,
        num_heads=2,
        num_classes=0,
        global_pool="avg",
    ).eval()
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


def test_norms_between_stages_are_kept_and_named(tmp_path):
    saved = random_backbone(SWIN | dict(out_indices=(0, 2)))
    done = export_backbone(save_training(tmp_path / "x.pth", saved), tmp_path / "o.pth", "timm")
    assert set(done.foreign) == {"pos_embed", "out_norms.0.weight", "out_norms.0.bias"}
    loaded = random_backbone(SWIN | dict(out_indices=(0, 2)))
    load_pretrained(loaded, tmp_path / "o.pth")
    assert_same_bits(loaded, saved)


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


def test_another_code_bases_layout_is_exported(tmp_path):
    tensors = to_timm(random_backbone(VIT).state_dict(), "MaskedViT")
    torch.save({"model": tensors | {"mask_token": torch.zeros(1, 1, 8)}}, tmp_path / "mae.pth")
    done = export_backbone(tmp_path / "mae.pth", tmp_path / "out.safetensors")
    _, expected = convert(tensors)
    assert {f"backbone.{name}" for name in done.tensors} == set(expected)
    assert "MAE" in done.origin


def test_a_file_without_an_encoder_is_refused(tmp_path):
    torch.save({"layer1.conv.weight": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"x\.pth.*none of them fits"):
        export_backbone(tmp_path / "x.pth", tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    ("target", "file_format", "message"),
    [
        ("out.pth", "safetensors", "must end in"),
        ("out.safetensors", "torch", "must not end in"),
        ("out.pth", "onnx", "must be one of"),
    ],
)
def test_format_and_ending_must_agree(tmp_path, target, file_format, message):
    with pytest.raises(CheckpointError, match=message):
        export_backbone(tmp_path / "x.pth", tmp_path / target, file_format)


@pytest.mark.parametrize("file_format", ["safetensors", "torch", "timm"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to(torch.int32), r"int32, where float32"),
        (lambda t: t.to(torch.bool), r"bool, where float32"),
        (lambda t: t.to(torch.complex64), "complex64"),
        (lambda t: t.to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda t: t.double() * 0 - 1e39, "exceed the range"),
        (lambda t: t * float("inf"), "NaN or infinite"),
        (lambda t: t.to("meta"), "meta device"),
    ],
)
def test_weights_of_another_kind_are_not_exported(tmp_path, file_format, change, message):
    weights = {f"backbone.{n}": t for n, t in random_backbone(VIT).state_dict().items()}
    weights["backbone.norm.weight"] = change(weights["backbone.norm.weight"])
    torch.save(dict(state_dict=weights), tmp_path / "x.pth")
    target = tmp_path / ("y.safetensors" if file_format == "safetensors" else "y.pth")
    with pytest.raises(CheckpointError, match=rf"x\.pth' contains .*{message}"):
        export_backbone(tmp_path / "x.pth", target, file_format)
    assert not target.exists()


def test_integer_buffers_of_other_encoders_are_exported(tmp_path):
    weights = {
        "backbone.conv.weight": torch.ones(1),
        "backbone.bn.num_batches_tracked": torch.tensor(3),
    }
    torch.save(weights, tmp_path / "x.pth")
    export_backbone(tmp_path / "x.pth", tmp_path / "y.pth", "torch")
    assert read_tensors(tmp_path / "y.pth")["bn.num_batches_tracked"].dtype == torch.int64


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

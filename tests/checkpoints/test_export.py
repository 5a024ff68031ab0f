import json
import struct

import pytest
import torch
from exported_backbones import CONFIGS, SWIN, VIT, assert_same_bits, random_backbone, save_training

from mim_plugins.checkpoints import convert, export_backbone, load_pretrained, read_tensors, to_timm
from mim_plugins.errors import CheckpointError

pytest.importorskip("safetensors")
EACH = pytest.mark.parametrize("name", sorted(CONFIGS))


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


def test_norms_between_stages_are_kept_and_named(tmp_path):
    saved = random_backbone(SWIN | dict(out_indices=(0, 2)))
    done = export_backbone(save_training(tmp_path / "x.pth", saved), tmp_path / "o.pth", "timm")
    assert set(done.foreign) == {"pos_embed", "out_norms.0.weight", "out_norms.0.bias"}
    loaded = random_backbone(SWIN | dict(out_indices=(0, 2)))
    load_pretrained(loaded, tmp_path / "o.pth")
    assert_same_bits(loaded, saved)


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

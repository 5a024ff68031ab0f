import numpy as np
import pytest
import torch
from mmengine.config import Config
from tool_runs import run_tool

from mim_plugins import get_model

TOOL = "model_converters/export_onnx.py"
MEAN_STD = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
SWIN = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
    img_size=32,
    window_size=4,
)
BACKBONES = dict(
    swin=(dict(SWIN, out_type="avg_featmap"), 16),
    # 3 does not divide the grid: padded and shifted windows
    shifted=(dict(SWIN, out_type="avg_featmap", window_size=3, shift_windows=True), 16),
    pvt=(
        dict(
            type="mim_plugins.MaskedPVT",
            arch=dict(
                embed_dims=(8, 8, 16, 16),
                depths=(1, 1, 1, 1),
                num_heads=(1, 2, 2, 2),
                mlp_ratios=(2, 2, 2, 2),
            ),
            img_size=32,
            out_type="avg_featmap",
        ),
        16,
    ),
    vit=(
        dict(
            type="mim_plugins.MaskedViT",
            arch=dict(depth=1, embed_dims=16, num_heads=2),
            img_size=32,
            out_type="avg_featmap",
            learn_pos_embed=True,
        ),
        16,
    ),
    mcmae=(
        dict(
            type="mim_plugins.MaskedConvViT",
            arch=dict(depths=(1, 1, 1), embed_dims=(8, 8, 16), mlp_ratios=(2, 2, 2), num_heads=2),
            img_size=32,
            out_type="avg_featmap",
        ),
        16,
    ),
)


def save(model_cfg, folder):
    """Return config and checkpoint of a run, and its model."""
    file = folder / "config.py"
    Config(dict(default_scope="mmpretrain", model=model_cfg)).dump(file)
    model = get_model(file)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    torch.save({"state_dict": model.state_dict()}, folder / "epoch_1.pth")
    return file, folder / "epoch_1.pth", model


def classifier(backbone, width):
    return dict(
        type="ImageClassifier",
        backbone=backbone,
        head=dict(type="LinearClsHead", num_classes=5, in_channels=width),
        data_preprocessor=dict(type="ClsDataPreprocessor", num_classes=5, to_rgb=True, **MEAN_STD),
    )


def normalized(images):
    channels = images.shape[1]
    mean, std = (torch.tensor(MEAN_STD[key][:channels])[:, None, None] for key in ("mean", "std"))
    return (images - mean) / std


def check_onnx(file, images, expected):
    import onnxruntime

    found = onnxruntime.InferenceSession(str(file)).run(None, {"images": images.numpy()})[0]
    np.testing.assert_allclose(found, expected, atol=1e-4 * abs(expected).max())
    return found


@pytest.fixture
def _onnx():
    for name in ("onnxscript", "onnxruntime"):
        pytest.importorskip(name)


needs_newer_torch = pytest.mark.skipif(
    torch.__version__.startswith("2.6."), reason="torch 2.6 cannot export these models"
)


@needs_newer_torch
@pytest.mark.usefixtures("_onnx")
@pytest.mark.parametrize("name", sorted(BACKBONES))
@torch.no_grad()
def test_logits_of_raw_pixels_match_pytorch(name, tmp_path):
    config, checkpoint, model = save(classifier(*BACKBONES[name]), tmp_path)
    out = tmp_path / "model.onnx"
    printed = run_tool(TOOL, config, checkpoint, out, "--dynamic-batch").stdout
    assert "onnxruntime and PyTorch differ by" in printed

    for batch in (1, 3):
        images = torch.randint(256, (batch, 3, 32, 32)).float()
        expected = model.head(model.extract_feat(normalized(images))).numpy()
        assert expected.shape == (batch, 5)
        found = check_onnx(out, images, expected)
    assert np.ptp(found, axis=0).max() > 2e-4, "all images look the same to the graph"
    assert not list(tmp_path.glob(".onnx-*"))


@needs_newer_torch
@pytest.mark.usefixtures("_onnx")
@torch.no_grad()
def test_pretraining_config_exports_pooled_features_at_any_size(tmp_path):
    model_cfg = dict(
        type="mim_plugins.MixMAE",
        backbone=SWIN,
        decoder=dict(type="mim_plugins.MixMAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        data_preprocessor=dict(
            type="mim_plugins.MixDataPreprocessor",
            batch_transform=dict(type="mim_plugins.MixImages"),
            **MEAN_STD,
        ),
    )
    config, checkpoint, model = save(model_cfg, tmp_path)
    out = tmp_path / "encoder.onnx"
    assert "1 image of 48x48" in run_tool(TOOL, config, checkpoint, out, "--img-size", 48).stdout

    images = torch.randint(256, (1, 3, 48, 48)).float()
    check_onnx(out, images, model.backbone(normalized(images))[-1].mean(dim=(2, 3)).numpy())


@needs_newer_torch
@pytest.mark.usefixtures("_onnx")
@torch.no_grad()
@pytest.mark.parametrize("encoder", ["swin", "vit"])
@pytest.mark.parametrize(
    ("channels", "options", "printed"),
    [
        (3, (), "32x64, RGB"),
        (1, (), "32x64, 1 channels"),
        (3, ("--img-size", 64, 32), "64x32, RGB"),
    ],
)
def test_rectangles_keep_their_height_and_width(tmp_path, encoder, channels, options, printed):
    backbone, width = BACKBONES[encoder]
    model_cfg = classifier(dict(backbone, img_size=(32, 64), in_channels=channels), width)
    model_cfg["data_preprocessor"] |= {key: MEAN_STD[key][:channels] for key in MEAN_STD}
    config, checkpoint, model = save(model_cfg, tmp_path)

    out = tmp_path / "out.onnx"
    assert printed in run_tool(TOOL, config, checkpoint, out, *options).stdout

    images = torch.randint(256, (1, channels, *(options[1:] or (32, 64)))).float()
    check_onnx(out, images, model(normalized(images)).numpy())


def test_more_than_two_sides_are_refused(tmp_path):
    command = (TOOL, "a.py", "b.pth", tmp_path / "out.onnx", "--img-size", 1, 2, 3)
    assert "or height and width such as 192x256" in run_tool(*command, code=2).stderr


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batches_without_images_are_refused(tmp_path, batch_size):
    command = (TOOL, "a.py", "b.pth", tmp_path / "out.onnx", "--batch-size", batch_size)
    assert f"--batch-size {batch_size} must be at least 1" in run_tool(*command, code=2).stderr


@pytest.mark.usefixtures("_onnx")
def test_mismatched_checkpoint_and_existing_file_are_refused(tmp_path):
    config, checkpoint, _ = save(classifier(*BACKBONES["swin"]), tmp_path)
    out, other = tmp_path / "out.onnx", tmp_path / "other.pth"
    torch.save({"state_dict": {"x": torch.ones(1)}}, other)
    assert "other.pth" in run_tool(TOOL, config, other, out, code=1).stderr
    out.write_text("kept")
    assert "exists already" in run_tool(TOOL, config, checkpoint, out, code=1).stderr
    assert out.read_text() == "kept"


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    error = run_tool(TOOL, "mixmae/swin_b_600e", "x.pth", tmp_path / "out.onnx", code=1).stderr
    assert "no package onnx: pip install 'mim_plugins[onnx]'" in error

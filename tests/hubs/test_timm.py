"""Exported encoders as models of timm."""

import importlib
import itertools
import json
import math
import sys

import numpy as np
import pytest
import torch
from described_encoders import encoder_of, pretraining, randomized
from PIL import Image
from torchvision.ops import StochasticDepth

from mim_plugins.apis import Encoder, describe_config
from mim_plugins.apis.hub_files import _crop_fraction, crop_in_timm
from mim_plugins.apis.inputs import evaluation_pipeline, model_inputs
from mim_plugins.errors import CheckpointError
from mim_plugins.transforms.center_crop import covering_scale

timm = pytest.importorskip("timm")
pytest.importorskip("huggingface_hub")
import mim_plugins.hubs.timm  # noqa: E402, F401


def saved(folder, name, **backbone):
    encoder = encoder_of(name, **backbone)
    encoder.save_pretrained(folder)
    return encoder


def create(folder, **options):
    return timm.create_model(f"local-dir:{folder}", pretrained=True, **options).eval()


@torch.no_grad()
@pytest.mark.parametrize("name", ["large_windows", "shifted_windows", "pvt", "conv_vit"])
@pytest.mark.parametrize("out_type", ["featmap", "avg_featmap"])
def test_encoders_have_the_same_features_in_timm(name, out_type, tmp_path):
    encoder = saved(tmp_path, name, out_type=out_type)
    model = create(tmp_path)
    images = torch.randn(2, 3, 64, 96)
    assert torch.equal(model(images), encoder(images))
    assert model.num_features == encoder(images).shape[1]
    model.reset_classifier(7)
    assert model(images).shape == (2, 7)
    assert create(tmp_path, num_classes=5)(images).shape == (2, 5)


def test_maps_of_several_stages_are_refused_in_timm(tmp_path):
    saved(tmp_path, "pvt")
    with pytest.raises(CheckpointError, match=r"features_only=True is not possible; .*backbone"):
        create(tmp_path, features_only=True)


@torch.no_grad()
@pytest.mark.parametrize("name", ["vit", "vit_without_cls"])
@pytest.mark.parametrize("out_type", ["featmap", "avg_featmap"])
def test_plain_vit_is_a_model_of_timm_itself(name, out_type, tmp_path):
    encoder = saved(tmp_path, name, out_type=out_type)
    model = create(tmp_path)
    assert type(model).__module__.startswith("timm.")
    images = torch.randn(2, 3, 96, 96)
    torch.testing.assert_close(model(images), encoder(images))


@pytest.mark.parametrize("name", ["pvt", "vit"])
def test_preprocessing_is_that_of_the_encoder(name, tmp_path):
    encoder = saved(tmp_path, name)
    config = timm.data.resolve_model_data_config(create(tmp_path))
    transform = timm.data.create_transform(**config)
    resize, crop = transform.transforms[:2]
    given = encoder.preprocessing
    assert (resize.size, resize.size) == given.resize
    assert tuple(crop.size) == given.size
    assert config["interpolation"] == "bicubic"
    assert [255 * each for each in config["mean"]] == pytest.approx(given.mean)
    assert [255 * each for each in config["std"]] == pytest.approx(given.std)


@torch.no_grad()
@pytest.mark.parametrize("crop", [96, 48, 144, (96, 64)])
def test_described_images_of_a_vit_fit_its_model(crop, tmp_path):
    """The model of timm reads squares of its img_size only."""
    config = pretraining("vit").to_dict()
    assert config["model"]["backbone"]["img_size"] == 96
    config["test_dataloader"] = dict(
        dataset=dict(
            pipeline=[
                dict(type="LoadImageFromFile"),
                dict(type="ResizeEdge", scale=160, edge="short"),
                dict(type="CenterCrop", crop_size=crop),
                dict(type="PackInputs"),
            ]
        )
    )
    encoder = randomized(Encoder(describe_config(config)).eval())
    encoder.save_pretrained(tmp_path)
    model = create(tmp_path)
    assert type(model).__module__.startswith("timm.") == (crop == 96)
    size = timm.data.resolve_model_data_config(model)["input_size"]
    assert tuple(size[1:]) == encoder.preprocessing.size
    images = torch.randn(1, *size)
    torch.testing.assert_close(model(images), encoder(images))


@pytest.mark.parametrize("name", ["large_windows", "shifted_windows", "pvt", "conv_vit"])
def test_arguments_of_timms_models_are_accepted(name, tmp_path):
    encoder = saved(tmp_path, name)
    model = create(tmp_path, drop_path_rate=0.4, img_size=64).train()
    rates = [m.p for m in model.modules() if isinstance(m, StochasticDepth)]
    assert max(rates) == pytest.approx(0.4)
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model.eval()(images), encoder(images))
    for enable in (True, False):
        model.set_grad_checkpointing(enable)
        found = {m.with_cp for m in model.modules() if hasattr(m, "with_cp")}
        assert found == {enable}
    for wrong in (dict(drop_path_rate=2.0), dict(img_size=0)):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            create(tmp_path, **wrong)


def test_partial_patches_of_a_vit_need_our_model(tmp_path):
    encoder = saved(tmp_path, "vit", img_size=90)
    model, images = create(tmp_path), torch.randn(1, 3, 90, 90)
    assert type(model).__name__ == "TimmEncoder"
    torch.testing.assert_close(model(images), encoder(images))


def test_windows_of_a_vit_need_our_model(tmp_path):
    saved(tmp_path, "vit", window_size=3)
    assert type(create(tmp_path)).__name__ == "TimmEncoder"


@torch.no_grad()
@pytest.mark.parametrize("indices", [2, (2,), (0, -1), (1,), (2, 1), (-3,)])
@pytest.mark.parametrize("name", ["vit", "large_windows", "pvt", "conv_vit"])
def test_the_last_output_is_that_of_the_encoder(name, indices, tmp_path):
    encoder = saved(tmp_path, name, out_indices=indices)
    model, images = create(tmp_path), torch.randn(2, 3, 96, 96)
    is_last = indices in (2, (2,), (0, -1))
    assert type(model).__module__.startswith("timm.") == (is_last and name == "vit")
    found = model(images)
    torch.testing.assert_close(found, encoder(images))
    assert model.num_features == encoder.backbone.out_channels == found.shape[1]
    assert json.loads((tmp_path / "config.json").read_text())["num_features"] == found.shape[1]
    assert create(tmp_path, num_classes=5)(images).shape == (2, 5)


def test_images_are_resized_in_timm_as_described():
    given = encoder_of("vit").description.preprocessing
    sides = range(16, 128)
    squares = [((side, side), (edge, edge)) for side in sides for edge in range(side, 2 * side)]
    rectangles = [
        (crop, tuple(covering_scale(crop)))
        for crop in itertools.product(range(16, 600, 16), repeat=2)
        if crop[0] != crop[1]
    ]
    for crop, resize in squares + rectangles:
        fraction = _crop_fraction(given._replace(size=crop, resize=resize))
        assert tuple(math.floor(side / fraction) for side in crop) == resize


@pytest.mark.parametrize("size", [96, (64, 96), (32, 256), (256, 32), (128, 512)])
@pytest.mark.parametrize("shape", [(50, 70), (300, 201), (64, 512), (40, 600), (701, 90)])
def test_pixels_are_those_of_timm(size, shape, tmp_path):
    encoder = saved(tmp_path, "vit", img_size=size)
    assert not crop_in_timm(encoder.description)
    config = timm.data.resolve_model_data_config(create(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    theirs = timm.data.create_transform(**config)(image)
    ours = model_inputs(encoder, evaluation_pipeline(encoder)([image]))[0]
    assert theirs.shape == ours.shape
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)


def test_resizing_that_timm_lacks_is_stated():
    config = pretraining("vit").to_dict()
    resize = dict(type="ResizeEdge", scale=160, edge="short")
    for crop, is_stated in ((96, 64), True), (96, False):
        steps = [dict(type="LoadImageFromFile"), resize, dict(type="CenterCrop", crop_size=crop)]
        pipeline = [*steps, dict(type="PackInputs")]
        config["test_dataloader"] = dict(dataset=dict(pipeline=pipeline))
        encoder = Encoder(describe_config(config))
        assert bool(crop_in_timm(encoder.description)) == is_stated
        assert ("timm resizes" in str(encoder.generate_model_card())) == is_stated


def test_changed_configs_are_refused(tmp_path):
    saved(tmp_path, "pvt")
    with pytest.raises(CheckpointError, match="in_chans=4, but the encoder reads 3"):
        create(tmp_path, in_chans=4)
    content = json.loads((tmp_path / "config.json").read_text())
    content["model_args"]["backbone"]["type"] = "os.system"
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"'os.system' is not one of"):
        create(tmp_path)


def test_missing_timm_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm.models", None)
    monkeypatch.delitem(sys.modules, "mim_plugins.hubs.timm")
    with pytest.raises(ImportError, match=r"pip install 'mim_plugins\[targets\]'"):
        importlib.import_module("mim_plugins.hubs.timm")

"""Public functions give the results of the CPU on a GPU."""

import argparse

import numpy as np
import pytest
import torch
from described_encoders import encoder_of, randomized
from mmengine.config import Config
from tiny_models import SMALL_SWIN, mixmae_config

import mim_plugins
from mim_plugins.apis.from_pixels import FromPixels
from mim_plugins.cli.predictions import predict

pytestmark = pytest.mark.gpu


@pytest.fixture
def photos():
    generator = np.random.default_rng(0)
    return [generator.integers(0, 255, (h, 70, 3), dtype=np.uint8) for h in (36, 50, 64)]


def check(found, expected):
    """Compare tensors in float32, for which kernels differ."""
    assert torch.allclose(found.cpu(), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", ["large_windows", "shifted_windows", "pvt", "vit", "conv_vit"])
def test_features_of_a_loaded_encoder(device, name, tmp_path, photos):
    encoder_of(name).save(tmp_path / "a.safetensors")
    expected = mim_plugins.extract_features(mim_plugins.load(tmp_path / "a.safetensors"), photos)
    encoder = mim_plugins.load(tmp_path / "a.safetensors", device)
    found = mim_plugins.extract_features(encoder, photos)
    assert found.pooled.device.type == device
    check(found.pooled, expected.pooled)
    written = mim_plugins.embed(encoder, photos, tmp_path / "a.npz", workers=1)
    check(torch.from_numpy(np.load(written.path)["features"]), expected.pooled)
    half = mim_plugins.extract_features(encoder.bfloat16(), photos).pooled
    assert half.dtype == torch.bfloat16


def test_a_model_that_takes_pixels(device):
    module = FromPixels(encoder_of("pvt"), features=True)
    images = torch.randint(0, 256, (2, 3, 64, 64)).float()
    expected = module(images)
    check(module.to(device)(images.to(device)), expected)


def test_pictures_of_reconstructions(device, photos):
    cfg = Config(dict(default_scope="mim_plugins", model=mixmae_config(SMALL_SWIN)))
    torch.manual_seed(0)
    expected = mim_plugins.reconstruct(mim_plugins.get_model(cfg), photos[:2])
    torch.manual_seed(0)
    found = mim_plugins.reconstruct(mim_plugins.get_model(cfg, device=device), photos[:2])
    for title, picture in expected.items():
        assert (found[title].float() - picture.float()).abs().mean() < 1


def test_predictions_of_a_classifier(device, photos):
    cfg = Config.fromfile(mim_plugins.apis.find_config("mixmae/swin_b_finetune_100e"))
    cfg.model.backbone = dict(SMALL_SWIN, out_type="avg_featmap")
    cfg.model.head.update(num_classes=5, in_channels=16)
    cfg.data_preprocessor.num_classes = 5
    pipeline = cfg.test_dataloader.dataset.pipeline
    pipeline[1].scale, pipeline[2].crop_size = 37, 32
    model = randomized(mim_plugins.get_model(cfg))
    args = argparse.Namespace(images=photos, batch_size=2)
    expected, _ = predict(model, args)
    found, _ = predict(model.to(device), args)
    for (_, ours), (_, scores) in zip(found, expected, strict=True):
        check(ours, scores)

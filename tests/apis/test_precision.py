"""Encoders whose parameters have another precision than float32."""

import copy

import pytest
import torch
from described_encoders import encoder_of
from mmengine.dataset import default_collate
from mmpretrain.structures import DataSample

from mim_plugins import embed, extract_features, get_model, reconstruct
from mim_plugins.apis.from_pixels import FromPixels
from mim_plugins.evaluation import extract_features as labeled_features

TOLERANCES = {torch.float16: 0.02, torch.bfloat16: 0.1, torch.float64: 1e-4}


def error(found, expected):
    return float((found.float() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", ["shifted_windows", "pvt", "vit", "conv_vit"])
def test_features_are_computed_in_the_precision_of_the_encoder(name, dtype, photos):
    encoder = encoder_of(name)
    expected = extract_features(encoder, photos)
    found = extract_features(copy.deepcopy(encoder).to(dtype), photos)
    assert {each.dtype for each in (found.pooled, *found.maps)} == {dtype}
    assert error(found.pooled, expected.pooled) < TOLERANCES[dtype]


def test_embedding_pixels_and_k_nn_accept_it_too(tmp_path, photos):
    encoder = encoder_of("large_windows")
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    samples = [dict(inputs=x, data_samples=DataSample().set_gt_label(1)) for x in images]
    loader = torch.utils.data.DataLoader(samples, 2, collate_fn=default_collate)
    expected = labeled_features(encoder.backbone, encoder.data_preprocessor, loader).features
    encoder.bfloat16()
    found = labeled_features(encoder.backbone, encoder.data_preprocessor, loader).features
    assert error(found, expected) < 0.1
    assert embed(encoder, photos, tmp_path / "a.npz").images == 3
    assert FromPixels(encoder, features=True)(images).dtype == torch.bfloat16


@pytest.mark.parametrize("cfg", ["pretrain_cfg", "mrmae_cfg"])
def test_pictures_of_a_model_in_half_precision(cfg, photos, request):
    model = get_model(request.getfixturevalue(cfg)).bfloat16()
    pictures = reconstruct(model, photos[:2])
    assert all(picture.dtype == torch.uint8 for picture in pictures.values())


def test_mean_and_deviation_keep_float32():
    encoder = encoder_of("pvt")
    before = [each.clone() for each in encoder.data_preprocessor.buffers()]
    encoder.half().bfloat16().double().half().double().float()
    assert len(before) == 2
    for found, expected in zip(encoder.data_preprocessor.buffers(), before, strict=True):
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)

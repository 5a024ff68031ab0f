"""Functions for images on another device than the CPU: "meta" stands for it, without values."""

import argparse
import copy

import numpy as np
import pytest
import torch
from described_encoders import encoder_of, exported, pretraining
from gpu_model import simulated_gpu
from mmengine.dataset import default_collate
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.structures import DataSample
from torch import nn

import mim_plugins
from mim_plugins.apis import Encoder
from mim_plugins.apis.from_pixels import FromPixels
from mim_plugins.cli.predictions import predict
from mim_plugins.data_preprocessors import MixDataPreprocessor
from mim_plugins.evaluation import extract_features

KINDS = ["large_windows", "shifted_windows", "pvt", "vit", "conv_vit"]
MOVES = [lambda module: module.to("meta"), lambda module: module.to_empty(device="meta")]


@pytest.fixture(autouse=True)
def _device():
    """Device whose values are read as zero, and whose tensors do not mix with those of the CPU."""
    with simulated_gpu():
        yield


class Plain(nn.Module):
    """Backbone and data preprocessor of any model in a container of PyTorch."""

    def __init__(self, model, preprocessor):
        super().__init__()
        self.backbone = model.backbone
        self.data_preprocessor = preprocessor
        self.run_config = model.run_config


@pytest.mark.parametrize("name", KINDS)
def test_a_loaded_encoder_processes_files_and_arrays(name, tmp_path, photos):
    encoder = mim_plugins.load(exported(pretraining(name), tmp_path)[1], device="meta")
    found = mim_plugins.extract_features(encoder, photos)
    assert all(each.is_meta for each in (found.pooled, *found.maps))
    written = mim_plugins.embed(encoder, photos, tmp_path / "a.npz")
    assert np.load(written.path)["features"].shape == (3, found.pooled.shape[1])


def test_encoders_of_the_hub_move_too(tmp_path, photo):
    pytest.importorskip("huggingface_hub")
    encoder_of("vit").save_pretrained(tmp_path)
    encoder = Encoder.from_pretrained(str(tmp_path), map_location="meta")
    assert mim_plugins.extract_features(encoder, photo).pooled.is_meta


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("values", [{}, dict(mean=[1.0] * 3, std=[2.0] * 3, bgr_to_rgb=True)])
def test_a_data_preprocessor_moves_with_any_container(values, move):
    container = move(nn.Sequential(nn.Sequential(MixDataPreprocessor(**values))))
    preprocessor = container[0][0]
    assert preprocessor.device.type == "meta"
    assert preprocessor(dict(inputs=torch.zeros(2, 3, 4, 4)))["inputs"].is_meta
    if not values:
        copied = copy.deepcopy(container).to_empty(device="cpu")[0][0]
        assert copied(dict(inputs=torch.zeros(2, 3, 4, 4)))["inputs"].device.type == "cpu"


@pytest.mark.parametrize("values", [{}, dict(mean=[1.0], std=[2.0])])
def test_a_loaded_preprocessor_has_the_device_of_the_mapping(values, tmp_path):
    torch.save(MixDataPreprocessor(**values).to("meta"), tmp_path / "a.pth")
    container = nn.Sequential(MixDataPreprocessor(**values).to("meta"))
    container[0]._device = torch.device("cuda:3")  # as in a file of another machine
    for move in (nn.Module.half, nn.Module.float, nn.Module.double):
        assert move(container)[0].device.type == "meta"
    loaded = torch.load(tmp_path / "a.pth", map_location="cpu", weights_only=False)
    assert loaded.double().device.type in ("cpu", "meta")  # tensors without values stay


@pytest.mark.parametrize("kind", ["ClsDataPreprocessor", "ImgDataPreprocessor"])
def test_preprocessors_of_other_packages_move_too(pretrain_cfg, kind, photo):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        given = MODELS.build(dict(type=kind, mean=[1.0] * 3, std=[1.0] * 3))
    model = Plain(mim_plugins.get_model(pretrain_cfg), given).to("meta")
    assert mim_plugins.extract_features(model, photo).pooled.is_meta


@pytest.mark.parametrize("name", ["large_windows", "pvt", "vit", "conv_vit"])
def test_pictures_of_reconstructions(name, photos):
    model = mim_plugins.get_model(pretraining(name), device="meta")
    for picture in mim_plugins.reconstruct(model, photos[:2]).values():
        assert picture.device.type == "cpu"


def test_predictions_of_a_classifier(finetune_cfg, photos):
    model = mim_plugins.get_model(finetune_cfg, device="meta")
    results, errors = predict(model, argparse.Namespace(images=photos, batch_size=2))
    assert [scores.shape for _, scores in results] == [(5,)] * 3
    assert errors == []


@pytest.mark.parametrize("move", MOVES)
def test_features_for_k_nn(move):
    encoder = move(encoder_of("large_windows"))
    images = torch.zeros(4, 3, 64, 64, dtype=torch.uint8)
    samples = [dict(inputs=x, data_samples=DataSample().set_gt_label(1)) for x in images]
    loader = torch.utils.data.DataLoader(samples, 2, collate_fn=default_collate)
    found = extract_features(encoder.backbone, encoder.data_preprocessor, loader)
    assert found.features.shape == (4, 32)


def test_a_model_that_takes_pixels():
    module = FromPixels(encoder_of("pvt"), features=True).to("meta")
    assert module(torch.zeros(2, 3, 64, 64, device="meta")).is_meta

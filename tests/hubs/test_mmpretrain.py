"""Recipes of this package in mmpretrain's hub, and its inferencers on pre-trained models."""

import mmpretrain
import numpy as np
import pytest
import torch
from described_encoders import pretraining, save_checkpoint, trained
from mmpretrain import FeatureExtractor, ImageClassificationInferencer

import mim_plugins
import mim_plugins.hubs.mmpretrain
from mim_plugins.errors import ConfigError

NAME = "mixmae_swin_b_600e"


def tiny():
    # new each time, because mmpretrain removes _delete_
    arch = dict(_delete_=True, embed_dims=8, depths=(1, 1), num_heads=(1, 2))
    return dict(window_size=7, arch=arch)


DECODER = dict(embed_dims=16, depth=1, num_heads=2)


def test_recipes_are_listed_next_to_those_of_mmpretrain():
    listed = mmpretrain.list_models("*mixmae*")
    assert {NAME, "mixmae_swin_b_finetune_100e", "mrmae_mixmae_swin_b_400e"} <= set(listed)
    assert "mask_rcnn_mixmae_swin_b_36e" not in listed
    assert "resnet50_8xb32_in1k" in mmpretrain.list_models("resnet*")


def test_weights_and_features_are_ours(tmp_path, photos):
    model = mmpretrain.get_model(NAME, backbone=tiny(), decoder=DECODER)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / "epoch_1.pth")
    extractor = FeatureExtractor(
        NAME, pretrained=str(tmp_path / "epoch_1.pth"), backbone=tiny(), decoder=DECODER
    )

    found = extractor([photo[..., ::-1] for photo in photos], batch_size=2)  # it expects BGR
    expected = mim_plugins.extract_features(model, photos).maps[-1]
    torch.testing.assert_close(torch.stack([maps[-1] for maps in found]), expected)


def test_fine_tuning_recipes_classify():
    name = "mixmae_swin_b_finetune_100e"
    inferencer = ImageClassificationInferencer(
        name, pretrained=False, backbone=tiny(), head=dict(in_channels=16)
    )
    (result,) = inferencer(np.zeros((40, 50, 3), np.uint8))
    assert result["pred_scores"].shape == (1000,)


def test_models_of_get_model_work_as_well(tmp_path, photos):
    cfg = pretraining("pvt")
    cfg.model.data_preprocessor.bgr_to_rgb = True
    file = save_checkpoint(trained(cfg), cfg, tmp_path / "a.pth")
    model = mim_plugins.get_model(cfg, file)
    (maps,) = FeatureExtractor(model)(photos[0][..., ::-1])
    expected = mim_plugins.extract_features(model, photos[0]).maps[-1][0]
    torch.testing.assert_close(maps[-1], expected)


def test_pre_trained_models_predict_no_classes(photos):
    inferencer = ImageClassificationInferencer(
        mmpretrain.get_model(NAME, backbone=tiny(), decoder=DECODER)
    )
    with pytest.raises(ConfigError, match="predicts no classes: fine-tune it first"):
        inferencer(photos[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_images_that_inferencers_cannot_read_are_an_error(channels):
    cfg = pretraining("pvt", in_channels=channels)
    del cfg.model.data_preprocessor.mean, cfg.model.data_preprocessor.std
    model = mim_plugins.get_model(cfg)
    for inferencer in (FeatureExtractor, ImageClassificationInferencer):
        with pytest.raises(ConfigError, match=r"use mim_plugins\.extract_features"):
            inferencer(model)
    assert model.run_config is not None


def test_models_whose_pipeline_normalizes_are_an_error():
    cfg = pretraining("pvt")
    cfg.model.data_preprocessor.bgr_to_rgb = True
    steps = [dict(type="LoadImage"), dict(type="Normalize", to_rgb=False)]
    cfg.train_dataloader = dict(dataset=dict(pipeline=steps))
    model = mim_plugins.get_model(cfg)
    with pytest.raises(ConfigError, match="the pipeline contains Normalize"):
        FeatureExtractor(model)

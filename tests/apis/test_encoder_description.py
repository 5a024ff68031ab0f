"""Descriptions of the encoders in configs and checkpoints."""

import pytest
import torch

from mim_plugins.apis import describe_checkpoint, describe_config, read_config
from mim_plugins.errors import CheckpointError, ConfigError


def test_configs_of_other_backbones_have_no_description(tmp_path):
    assert describe_config(dict(model=dict(backbone=dict(type="ResNet")))) is None
    assert describe_config({}) is None
    torch.save(dict(meta=dict(cfg="model = print('executed')"), state_dict={}), tmp_path / "a.pth")
    assert describe_checkpoint(tmp_path / "a.pth") is None


def test_arguments_of_training_are_left_out():
    cfg = read_config("mixmae/swin_b_384_finetune_100e")
    description = describe_config(cfg.to_dict())
    assert set(description.backbone) == {"type", "arch", "img_size", "window_size", "out_type"}
    given = description.preprocessing
    assert (given.size, given.short_edge, given.channel_order) == ((384, 384), 384, "rgb")
    assert given.mean == tuple(cfg.data_preprocessor.mean)


@pytest.mark.parametrize("mean", [[0.0, 1.0], "abc", [float("nan")] * 3])
def test_configs_with_other_values_are_refused(mean):
    cfg = read_config("mixmae/swin_b_600e").to_dict()
    cfg["model"]["data_preprocessor"]["mean"] = mean
    with pytest.raises(CheckpointError, match=r"preprocessing\.mean|NaN"):
        describe_config(cfg)


@pytest.mark.parametrize("field", ["train_dataloader", "val_dataloader", "test_dataloader"])
def test_normalization_in_a_pipeline_is_refused(field):
    cfg = read_config("mixmae/swin_b_finetune_100e").to_dict()
    cfg[field]["dataset"]["pipeline"].insert(2, dict(type="Normalize", mean=[1.0], std=[2.0]))
    with pytest.raises(ConfigError, match=f"{field}: the pipeline contains Normalize"):
        describe_config(cfg)


@pytest.mark.parametrize("reverses", [True, False])
@pytest.mark.parametrize(
    ("steps", "is_bgr"),
    [
        (["LoadImageFromFile"], True),
        (["FixPath", "LoadImageFromFile"], True),
        ([], False),
        ([dict(type="NumpyToPIL", to_rgb=True)], True),
        (["LoadImageFromFile", dict(type="NumpyToPIL", to_rgb=True)], False),
    ],
)
def test_the_order_follows_from_data_and_preprocessor(steps, is_bgr, reverses):
    pipeline = [dict(type=step) if isinstance(step, str) else step for step in steps]
    backbone = dict(type="MaskedSwin", img_size=64)
    model = dict(backbone=backbone, data_preprocessor=dict(bgr_to_rgb=reverses))
    config = dict(model=model, train_dataloader=dict(dataset=dict(pipeline=pipeline)))
    order = describe_config(config).preprocessing.channel_order
    assert order == ("rgb" if is_bgr == reverses else "bgr")

"""Descriptions of the encoders in configs and checkpoints."""

import contextlib
import copy
import math

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mim_plugins.apis import describe_checkpoint, describe_config, read_config
from mim_plugins.checkpoints.literal_config import COMPUTED
from mim_plugins.errors import CheckpointError, ConfigError, UserError

PLACES = [
    ("model",), ("model", "type"), ("model", "backbone", "arch"), ("model", "backbone", "img_size"),
    ("model", "backbone", "in_channels"), ("model", "data_preprocessor"),
    ("model", "data_preprocessor", "mean"), ("model", "data_preprocessor", "std"),
    ("model", "data_preprocessor", "type"),
    *(
        (f"{split}_dataloader", *place)
        for split in ("train", "val")
        for place in ((), ("dataset",), ("dataset", "datasets"), ("dataset", "pipeline"))
    ),
    ("train_dataloader", "dataset", "pipeline", 0),
    ("train_dataloader", "dataset", "pipeline", 0, "type"),
    ("train_dataloader", "dataset", "pipeline", 0, "bands"),
    ("val_dataloader", "dataset", "pipeline", 1), ("val_dataloader", "dataset", "pipeline", 2),
    ("val_dataloader", "dataset", "pipeline", 1, "scale"),
    ("val_dataloader", "dataset", "pipeline", 1, "interpolation"),
    ("val_dataloader", "dataset", "pipeline", 1, "backend"),
    ("val_dataloader", "dataset", "pipeline", 2, "crop_size"),
]  # fmt: skip


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
    assert (given.size, given.resize, given.channel_order) == ((384, 384), (384, 384), "rgb")
    assert given.mean == tuple(cfg.data_preprocessor.mean)


@pytest.mark.parametrize("mean", [[0.0, 1.0], "abc", [float("nan")] * 3])
def test_configs_with_other_values_are_refused(mean):
    cfg = read_config("mixmae/swin_b_600e").to_dict()
    cfg["model"]["data_preprocessor"]["mean"] = mean
    with pytest.raises(CheckpointError, match=r"preprocessing\.mean|data_preprocessor\.mean|NaN"):
        describe_config(cfg)


@pytest.mark.parametrize(
    "nodata", [-99999, 1e20, -3.4028234663852886e38, -1.7976931348623157e308, math.nan, -math.inf]
)
def test_values_of_any_size_stand_for_no_data(tmp_path, nodata):
    bands = dict(channels=4, fill=[-1e6, 0, 1e9, 0.5], nodata=nodata)
    normalization = dict(mean=[70000, 10**20, -1e30, 1.0], std=[1e6, 1e25, 1.0, 1.0])
    cfg = dict(
        model=dict(
            backbone=dict(type="MaskedSwin", in_channels=4),
            data_preprocessor=dict(type="MixDataPreprocessor", **normalization),
        ),
        train_dataloader=dict(dataset=dict(pipeline=[dict(type="LoadImage", bands=bands)])),
    )
    file = tmp_path / "a.pth"
    torch.save(dict(meta=dict(cfg=Config(cfg).pretty_text), state_dict={}), file)
    for found in (describe_config(cfg), describe_checkpoint(file)):
        given = found.preprocessing
        assert given.mean == tuple(normalization["mean"])
        assert given.std == tuple(normalization["std"])
        assert given.bands["fill"] == bands["fill"]
        assert given.bands["nodata"] == (nodata if math.isfinite(nodata) else None)
        assert all(torch.tensor(each).isfinite().all() for each in (given.mean, given.std))


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
    dataset = dict(type="CIFAR10", pipeline=pipeline)
    config = dict(model=model, train_dataloader=dict(dataset=dataset))
    order = describe_config(config).preprocessing.channel_order
    assert order == ("rgb" if is_bgr == reverses else "bgr")
    dataset |= dict(type="Own", pipeline=[dict(type="OpenTiff")])  # in an unknown order
    assert describe_config(config).preprocessing.channel_order == "rgb"


def described():
    cfg = read_config("mixmae/swin_b_finetune_100e").to_dict()
    cfg["model"]["data_preprocessor"] = cfg.pop("data_preprocessor")
    del cfg["test_dataloader"]
    return cfg


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_other_values_are_described_or_refused(place):
    config = described()
    describe_config(config)
    for value in (COMPUTED, None, 0, -3, 2.5, "x", [], [1, "x"], [[]], {}, dict(a=[3]), object()):
        changed = copy.deepcopy(config)
        node = changed
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = value
        with contextlib.suppress(UserError):  # others are errors without a remedy
            describe_config(changed)


@pytest.mark.parametrize(
    "place",
    [
        ("model", "backbone", "arch"),
        ("model", "data_preprocessor", "mean"),
        ("train_dataloader", "dataset", "pipeline"),
        ("train_dataloader",),
        ("val_dataloader", "dataset"),
    ],
    ids=str,
)
def test_computed_values_are_refused_with_a_remedy(place):
    config = node = described()
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = COMPUTED
    with pytest.raises(
        CheckpointError, match=r"=\(computed\) is not .*; write it so, or .*--config"
    ):
        describe_config(config)


@pytest.mark.parametrize("kind", [np.array, lambda v: [np.float64(each) for each in v], tuple])
def test_numbers_of_numpy_are_described(kind):
    config = described()
    expected = describe_config(config)
    preprocessor = config["model"]["data_preprocessor"]
    for key in ("mean", "std"):
        preprocessor[key] = kind(preprocessor[key])
    config["model"]["backbone"]["img_size"] = np.int64(224)
    found = describe_config(config)
    assert found.preprocessing == expected.preprocessing
    assert found.backbone == expected.backbone | dict(img_size=224)


def test_numbers_of_numpy_in_a_stored_config_are_described(tmp_path):
    config = described()
    preprocessor = config["model"]["data_preprocessor"]
    expected = tuple(preprocessor["mean"])
    preprocessor["mean"] = [np.float64(each) for each in expected]
    text = Config(config).pretty_text
    torch.save(dict(meta=dict(cfg=text), state_dict={}), tmp_path / "a.pth")
    assert describe_checkpoint(tmp_path / "a.pth").preprocessing.mean == expected


@pytest.mark.parametrize(("loader", "is_known"), [("OpenTiff", False), ("LoadImage", True)])
@pytest.mark.parametrize("reverses", [True, False])
def test_an_assumed_order_of_colors_is_stated(loader, is_known, reverses, tmp_path, capsys):
    cfg = read_config("mixmae/swin_b_600e")
    cfg.model.data_preprocessor.bgr_to_rgb = reverses
    cfg.train_dataloader.dataset = dict(type="Own", pipeline=[dict(type=loader)])
    torch.save(dict(meta=dict(cfg=cfg.pretty_text), state_dict={}), tmp_path / "a.pth")
    described = describe_checkpoint(tmp_path / "a.pth")
    is_rgb = reverses or not is_known
    assert described.preprocessing.channel_order == ("rgb" if is_rgb else "bgr")
    is_stated = "images is unknown; the encoder is described as" in capsys.readouterr().out
    assert is_stated == (not is_known and not reverses)

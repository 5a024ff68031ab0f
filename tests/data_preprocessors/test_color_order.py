"""Order of the colors that models read."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from torch import nn

from mim_plugins.apis.from_pixels import FromPixels
from mim_plugins.apis.inputs import evaluation_pipeline, model_inputs
from mim_plugins.data_preprocessors import (
    MixDataPreprocessor,
    check_file_colors,
    passes_rgb,
    reads_rgb,
    reverses_channels,
)
from mim_plugins.errors import ConfigError

REVERSAL = dict(type="NumpyToPIL", to_rgb=True)


def training(*steps):
    return dict(train_dataloader=dict(dataset=dict(type="CIFAR10", pipeline=list(steps))))


FILES = training(dict(type="LoadImage"))
MEMORY = training()
REVERSED_FILES = training(dict(type="LoadImage"), REVERSAL)
REVERSED_MEMORY = training(REVERSAL)
OWN = dict(train_dataloader=dict(dataset=dict(type="Own", pipeline=[])))  # in an unknown order


def classifying(to_rgb):
    """Return what the preprocessors of mmpretrain for classifiers have."""
    return SimpleNamespace(to_rgb=to_rgb)


def segmenting(reverses):
    """Return what the preprocessor of mmsegmentation has."""
    return SimpleNamespace(channel_conversion=reverses)


@pytest.mark.parametrize(
    ("preprocessor", "of_files", "of_memory", "unknown"),
    [
        (MixDataPreprocessor(bgr_to_rgb=True), True, False, True),
        (MixDataPreprocessor(), False, True, True),
        (ImgDataPreprocessor(bgr_to_rgb=True), True, False, True),
        (ImgDataPreprocessor(rgb_to_bgr=True), True, False, True),
        (ImgDataPreprocessor(), False, True, True),
        (classifying(to_rgb=True), True, False, True),
        (classifying(to_rgb=False), False, True, False),
        (segmenting(True), True, False, True),
        (segmenting(False), False, True, True),
    ],
)
def test_models_read_the_order_of_their_training(preprocessor, of_files, of_memory, unknown):
    for config, expected in (
        (FILES, of_files),
        (REVERSED_MEMORY, of_files),
        (MEMORY, of_memory),
        (REVERSED_FILES, of_memory),
        ({}, unknown),
    ):
        model = SimpleNamespace(data_preprocessor=preprocessor, run_config=config)
        assert reads_rgb(model) == expected
    wrapper = SimpleNamespace(data_preprocessor=preprocessor)
    model = SimpleNamespace(data_preprocessor=wrapper, run_config=FILES)
    assert reads_rgb(model) == of_files
    model.run_config = {}
    assert reads_rgb(model) == unknown
    model.run_config = OWN
    assert reads_rgb(model)


@pytest.mark.parametrize("reverses", [True, False])
@pytest.mark.parametrize("config", [FILES, MEMORY, REVERSED_FILES, REVERSED_MEMORY])
def test_features_and_exports_get_the_trained_order(config, reverses):
    rgb = np.array([30, 20, 10], np.uint8)
    trained = rgb if config in (MEMORY, REVERSED_FILES) else rgb[::-1]
    model = nn.Module()
    model.backbone = nn.Conv2d(3, 1, 1)
    model.data_preprocessor = MixDataPreprocessor(bgr_to_rgb=reverses)
    model.run_config = config
    batch = dict(inputs=[torch.tensor(trained.copy())[:, None, None]])
    expected = model.data_preprocessor(batch)["inputs"][0].flatten().tolist()

    image = np.broadcast_to(rgb, (4, 4, 3))
    inputs = model_inputs(model, evaluation_pipeline(model)(image))
    program = FromPixels(model, features=True)
    program.outputs = lambda pixels: pixels
    pixels = program(torch.tensor(rgb)[None, :, None, None])
    assert inputs[0, :, 1, 1].tolist() == pixels.flatten().tolist() == expected


def test_configs_reverse_as_the_preprocessors_built_from_them():
    for name in ("to_rgb", "bgr_to_rgb", "rgb_to_bgr"):
        assert reverses_channels({name: True})
        assert not reverses_channels({name: False})
        assert not reverses_channels({name: object()})  # a value that is unknown
        assert reverses_channels(dict(type="Wrapper", data_preprocessor={name: True}))
    assert not reverses_channels({})


@pytest.mark.parametrize(("order", "expected"), [("rgb", True), ("bgr", False), ("any", True)])
def test_encoders_read_the_described_order(order, expected):
    described = SimpleNamespace(channel_order=order)
    model = SimpleNamespace(preprocessing=described, data_preprocessor=MixDataPreprocessor())
    assert reads_rgb(model) == expected


@pytest.mark.parametrize("reverses", [True, False])
@pytest.mark.parametrize("kind", [ImgDataPreprocessor, MixDataPreprocessor])
def test_models_of_rgb_in_memory_read_no_files(kind, reverses):
    backbone, preprocessor = SimpleNamespace(in_channels=3), kind(bgr_to_rgb=reverses)

    def check(config):
        check_file_colors(backbone, preprocessor, config["train_dataloader"], "KNNHook")

    for config in (MEMORY, REVERSED_FILES):
        with pytest.raises(ConfigError, match=r"KNNHook loads files as BGR, but .* are RGB before"):
            check(config)
    for config in (FILES, REVERSED_MEMORY, OWN):
        check(config)
    backbone.in_channels = 1
    check(MEMORY)


def test_an_unknown_order_is_stated_by_k_nn(monkeypatch):
    notes = []
    name = "mim_plugins.data_preprocessors.color_order.print_log"
    monkeypatch.setattr(name, lambda text, **_: notes.append(text))
    backbone, preprocessor = SimpleNamespace(in_channels=3), MixDataPreprocessor()
    check_file_colors(backbone, preprocessor, FILES["train_dataloader"], "k-NN")
    assert notes == []
    check_file_colors(backbone, preprocessor, OWN["train_dataloader"], "k-NN")
    assert [note[:50] for note in notes] == ["k-NN loads files as BGR, but the order of the colo"]


@pytest.mark.parametrize("place", ["model", "top"])
def test_the_direction_of_a_reversal_counts_for_unknown_images(place):
    given = dict(rgb_to_bgr=True)
    config = dict(model=dict(data_preprocessor=given)) if place == "model" else {}
    config |= {} if place == "model" else dict(data_preprocessor=given)
    model = SimpleNamespace(
        data_preprocessor=ImgDataPreprocessor(rgb_to_bgr=True), run_config=OWN | config
    )
    assert not reads_rgb(model)
    model.run_config = FILES | config
    assert reads_rgb(model)  # files are BGR, whatever the argument claims
    given = dict(type="Wrapper", data_preprocessor=given)
    assert not passes_rgb(given, OWN["train_dataloader"])
    assert passes_rgb(dict(bgr_to_rgb=True), OWN["train_dataloader"])

"""Order of the colors that models read."""

from types import SimpleNamespace

import pytest
from mmengine.model import ImgDataPreprocessor

from mim_plugins.data_preprocessors import MixDataPreprocessor, check_file_colors, reads_rgb
from mim_plugins.errors import ConfigError

FILES = dict(train_dataloader=dict(dataset=dict(pipeline=[dict(type="LoadImage")])))
MEMORY = dict(train_dataloader=dict(dataset=dict(type="CIFAR10", pipeline=[])))


def classifying(to_rgb):
    """Return what the preprocessors of mmpretrain for classifiers have."""
    return SimpleNamespace(to_rgb=to_rgb)


@pytest.mark.parametrize(
    ("preprocessor", "of_files", "of_memory", "unknown"),
    [
        (MixDataPreprocessor(bgr_to_rgb=True), True, True, True),
        (MixDataPreprocessor(), False, True, True),
        (ImgDataPreprocessor(bgr_to_rgb=True), True, True, True),
        (ImgDataPreprocessor(rgb_to_bgr=True), True, True, True),
        (ImgDataPreprocessor(), False, True, True),
        (classifying(to_rgb=True), True, True, True),
        (classifying(to_rgb=False), False, True, False),
    ],
)
def test_models_read_the_order_of_their_training(preprocessor, of_files, of_memory, unknown):
    for config, expected in ((FILES, of_files), (MEMORY, of_memory), ({}, unknown)):
        model = SimpleNamespace(data_preprocessor=preprocessor, run_config=config)
        assert reads_rgb(model) == expected


@pytest.mark.parametrize(("order", "expected"), [("rgb", True), ("bgr", False), ("any", True)])
def test_encoders_read_the_described_order(order, expected):
    described = SimpleNamespace(channel_order=order)
    model = SimpleNamespace(preprocessing=described, data_preprocessor=MixDataPreprocessor())
    assert reads_rgb(model) == expected


@pytest.mark.parametrize("kind", [ImgDataPreprocessor, MixDataPreprocessor])
def test_models_of_rgb_in_memory_read_no_files(kind):
    backbone = SimpleNamespace(in_channels=3)
    with pytest.raises(ConfigError, match=r"KNNHook loads files as BGR, but .* RGB in memory"):
        check_file_colors(backbone, kind(), MEMORY["train_dataloader"], "KNNHook")
    for preprocessor, training, channels in (
        (kind(bgr_to_rgb=True), MEMORY, 3),
        (kind(), FILES, 3),
        (kind(), MEMORY, 1),
    ):
        backbone.in_channels = channels
        check_file_colors(backbone, preprocessor, training["train_dataloader"], "KNNHook")

"""Comparison of programs with the path of image files."""

import pytest
import torch
from described_encoders import randomized
from tiny_models import PLAIN_BACKBONES

from mim_plugins.apis import Encoder, describe_config
from mim_plugins.apis.from_pixels import FromPixels
from mim_plugins.apis.program_check import check_size, largest_difference
from mim_plugins.errors import ConfigError

SIZE = (32, 48)
STATISTICS = dict(mean=(120.0, 110.0, 100.0), std=(60.0, 50.0, 40.0))


def module_of(**preprocessing):
    channels = preprocessing.get("channels", 3)
    backbone = PLAIN_BACKBONES["vit_without_cls"] | dict(in_channels=channels)
    given = describe_config(dict(model=dict(backbone=backbone)))
    changed = given._replace(preprocessing=given.preprocessing._replace(**preprocessing))
    return FromPixels(randomized(Encoder(changed).eval()), features=True)


@pytest.mark.parametrize(
    ("channels", "preprocessing"),
    [
        (3, dict(channel_order="rgb")),
        (3, dict(channel_order="bgr")),
        (3, dict(channel_order="rgb", bands=dict(channels=3))),
        (3, dict(channel_order="bgr", bands=dict(channels=3))),
        (1, dict(channel_order="any", mean=(100.0,), std=(50.0,))),
        (4, dict(channel_order="any", mean=(0.1,), std=(9.0,), bands=dict(channels=4))),
    ],
)
def test_pixels_and_files_of_an_image_are_equal(channels, preprocessing):
    module = module_of(**STATISTICS | preprocessing, channels=channels)
    assert largest_difference(module, module, SIZE, (1, 3)) <= 1e-6
    exchanged = largest_difference(module, lambda x: module(x.flip(1)), SIZE, (2,))
    assert (exchanged > 1e-4) == (channels > 1)


def test_another_normalization_is_a_difference():
    module = module_of(**STATISTICS)
    assert largest_difference(module, lambda x: module(x / 255), SIZE, (1,)) > 1e-3
    with torch.no_grad():
        module.model.data_preprocessor.mean += 30
    assert largest_difference(module, module, SIZE, (1,)) <= 1e-6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("wrong", [1, 3])
def test_values_that_are_not_finite_are_an_infinite_difference(value, wrong):
    module = module_of(**STATISTICS)

    def program(pixels):
        return module(pixels) + (value if len(pixels) == wrong else 0)

    assert largest_difference(module, program, SIZE, (1, 3)) == float("inf")
    with torch.no_grad():
        next(module.parameters()).fill_(value)  # of both
    assert largest_difference(module, module, SIZE, (1, 3)) == float("inf")


def test_equal_outputs_of_zero_do_not_differ():
    module = module_of(**STATISTICS)
    module.outputs = lambda inputs: torch.zeros(len(inputs), 2)
    assert largest_difference(module, lambda x: torch.zeros(len(x), 2), SIZE, (1,)) == 0
    assert largest_difference(module, lambda x: torch.ones(len(x), 2), SIZE, (1,)) == float("inf")


def test_sizes_that_the_model_does_not_accept_are_refused(monkeypatch):
    module = module_of()
    check_size(module, (32, 64))
    for size in ((0, 32), (32, -16)):
        message = rf"the size {size[0]}x{size[1]} .* both sides must be at least 1; give another"
        with pytest.raises(ConfigError, match=message):
            check_size(module, size)

    def fail(images):
        raise RuntimeError("Kernel size is too large\nmore")

    monkeypatch.setattr(module, "outputs", fail)
    with pytest.raises(ConfigError, match=r"8x8 .* the model: Kernel size is too large; give"):
        check_size(module, (8, 8))

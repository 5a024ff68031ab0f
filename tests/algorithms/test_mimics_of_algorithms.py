import copy

import pytest
import torch
from mmengine.model import BaseDataPreprocessor
from mrmae_fakes import colors_target
from torch import nn

from mim_plugins.algorithms.mimic import (
    build_mimics,
    denormalize_images,
    mimic_loss_name,
    used_mimics,
)
from mim_plugins.errors import ConfigError
from mim_plugins.registry import MODELS

TARGET = colors_target(out_channels=3)
NORMALIZATION = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def random_images(size=8):
    return torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)


def preprocessor(kind, **arguments):
    return MODELS.build(dict(type=kind, **arguments))


@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize("kind", ["ImgDataPreprocessor", "mim_plugins.MixDataPreprocessor"])
def test_rgb_images_come_back_between_0_and_1(kind, bgr):
    rgb, normalize = random_images(), preprocessor(kind, bgr_to_rgb=bgr, **NORMALIZATION)
    images = rgb.flip(1) if bgr else rgb
    pixels = denormalize_images(normalize(dict(inputs=list(images)))["inputs"], normalize)
    assert torch.allclose(pixels, rgb.float() / 255, atol=1e-6)


def test_one_mean_for_all_channels_is_possible():
    rgb, normalize = random_images(), preprocessor("ImgDataPreprocessor", mean=[127.5], std=[64.0])
    pixels = denormalize_images(normalize(dict(inputs=list(rgb)))["inputs"], normalize)
    assert torch.allclose(pixels, rgb.float() / 255, atol=1e-6)


def test_denormalize_images_does_not_change_its_input():
    normalize = preprocessor("ImgDataPreprocessor", **NORMALIZATION)
    images = normalize(dict(inputs=list(random_images())))["inputs"]
    before = images.clone()
    denormalize_images(images, normalize)
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    "normalize",
    [
        preprocessor("ImgDataPreprocessor"),
        preprocessor("mim_plugins.MixDataPreprocessor"),
        BaseDataPreprocessor(),
    ],
    ids=lambda normalize: type(normalize).__name__,
)
def test_a_preprocessor_that_does_not_normalize_is_refused(normalize):
    with pytest.raises(ValueError, match="mean and std of the data_preprocessor"):
        denormalize_images(torch.randn(1, 3, 8, 8), normalize)


def test_mimics_are_built_by_name_with_the_students_width():
    configs = dict(
        clip=dict(target_generator=TARGET),
        dino=dict(target_generator=TARGET, weight=0.5, fusion_layers=(0,)),
    )
    before = copy.deepcopy(configs)

    mimics = build_mimics(configs, in_channels=6)

    assert list(mimics) == ["clip", "dino"]
    assert mimics["clip"].head.proj.weight.shape == (3, 6)
    assert mimics["dino"].weight == 0.5
    assert mimics["dino"].fusion_layers == (0,)
    assert configs == before


def test_another_type_of_mimic_is_possible():
    class Other(nn.Module):
        def __init__(self, target_generator, in_channels):
            super().__init__()

    MODELS.register_module(name="OtherMimicForTest", module=Other, force=True)
    config = dict(type="OtherMimicForTest", target_generator=TARGET)
    mimics = build_mimics(dict(a=config), in_channels=6)
    assert type(mimics["a"]) is Other


@pytest.mark.parametrize("name", ["dino.v2", "keys", "training", "_modules", "", 1])
def test_names_that_modules_cannot_have_are_refused(name):
    with pytest.raises(ConfigError, match=rf"MRMAE: mimics\[{name!r}\]: the name must be a string"):
        used_mimics("MRMAE", {"clip": dict(target_generator=TARGET), name: dict(weight=1.0)})


@pytest.mark.parametrize("name", ["dino-v2", "dino_v2", "a b", "1"])
def test_names_that_modules_can_have_are_used(name):
    configs = {name: dict(target_generator=TARGET), "keys": None}
    assert list(build_mimics(used_mimics("MRMAE", configs), in_channels=6)) == [name]


@pytest.mark.parametrize("configs", [None, {}])
def test_no_configs_give_no_mimics(configs):
    assert len(build_mimics(configs, in_channels=6)) == 0


def test_a_loss_carries_its_mimics_name_only_among_several():
    clip, dino = dict(target_generator=TARGET), dict(target_generator=TARGET)
    one = build_mimics(dict(clip=clip), in_channels=6)
    two = build_mimics(dict(clip=clip, dino=dino), in_channels=6)
    assert [mimic_loss_name(name, one) for name in one] == ["loss_mimic"]
    assert [mimic_loss_name(name, two) for name in two] == ["loss_mimic_clip", "loss_mimic_dino"]

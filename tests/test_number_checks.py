"""Arguments that are no numbers, or numbers of another kind."""

import copy
from functools import partial

import numpy as np
import pytest
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES, mixmae_config, mrmae_config

from mim_plugins.decoders import MAEDecoder, MixMAEDecoder
from mim_plugins.errors import ConfigError
from mim_plugins.heads import MimicHead, PixelHead
from mim_plugins.masking import MixImages
from mim_plugins.number_checks import is_above_0, is_int, is_number, is_positive_int
from mim_plugins.registry import MODELS

KINDS = TINY_BACKBONES | PLAIN_BACKBONES
NAMES = ["large_windows", "pvt", "vit", "conv_vit"]
WRONG = [None, True, 1.5, 8.0, "8", float("nan"), {}, [1.0], [None]]


def build(name, **changes):
    return MODELS.build(copy.deepcopy(KINDS[name]) | changes)


def check_refused(name, argument, value):
    with pytest.raises(ValueError, match=rf"^Masked\w+: {argument}.*must ") as caught:
        build(name, **{argument: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("argument", ["img_size", "frozen_stages", "out_indices", "in_channels"])
@pytest.mark.parametrize("name", NAMES)
def test_other_values_than_integers_are_refused(name, argument, value):
    check_refused(name, argument, value)


@pytest.mark.parametrize("value", [*WRONG, 0, -4, (16, 16)], ids=repr)
@pytest.mark.parametrize("name", ["large_windows", "pvt", "vit"])
def test_patches_have_one_side_of_whole_pixels(name, value):
    check_refused(name, "patch_size", value)


@pytest.mark.parametrize("value", [None, True, "4", 0, -1.0, float("nan"), float("inf")], ids=repr)
@pytest.mark.parametrize("name", ["large_windows", "vit"])
def test_ratios_are_numbers_above_0(name, value):
    check_refused(name, "mlp_ratio", value)


@pytest.mark.parametrize("value", [1.0, True, "1", None, 0])
@pytest.mark.parametrize("name", NAMES)
def test_sizes_of_architectures_are_integers(name, value):
    arch = KINDS[name]["arch"]
    for key, given in arch.items():
        is_listed = isinstance(given, (list, tuple))
        if key == "mlp_ratios":
            continue
        wrong = (value, *given[1:]) if is_listed else value
        with pytest.raises(ValueError, match=rf"Masked\w+: arch\['{key}'\]=.*must "):
            build(name, arch=arch | {key: wrong})


def test_fractions_and_integers_of_numpy_are_accepted():
    arch = KINDS["pvt"]["arch"] | dict(mlp_ratios=(1.5, 2, 2.5))
    assert build("pvt", arch=arch).stages[0].blocks[0].mlp[0].out_features == 12
    given = dict(img_size=np.int64(32), patch_size=np.int64(16), mlp_ratio=2.5)
    for indices in ([np.int64(-1), 0], np.array([2, 0]), (i for i in (-1, 0))):
        encoder = build("vit", out_indices=indices, **given)
        assert (encoder.img_size, encoder.out_indices) == ((32, 32), (2, 0))
        assert {type(each) for each in (*encoder.out_indices, encoder.encoder_stride)} == {int}


def test_bools_are_no_numbers():
    for check in (is_int, is_positive_int, is_above_0, is_number):
        assert check(3)
        assert not check(True)
    assert is_int(-1)
    assert not is_positive_int(-1)


NOT_NUMBERS = ["x", "0.5", None, True, float("nan"), float("inf"), [0.5]]


def check_named(build, owner, argument, value):
    with pytest.raises(ConfigError, match=rf"^{owner}: {argument}=.* must be ") as caught:
        build(**{argument: value})
    assert repr(value) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, -1, 1.5], ids=repr)
@pytest.mark.parametrize("argument", ["embed_dims", "depth", "num_heads", "out_channels"])
@pytest.mark.parametrize("kind", [MAEDecoder, MixMAEDecoder])
def test_sizes_of_decoders_are_integers(kind, argument, value):
    build = partial(kind, 16, (2, 2), 8, **dict(depth=1) if argument != "depth" else {})
    check_named(build, kind.__name__, argument, value)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 0, -0.5], ids=repr)
@pytest.mark.parametrize("argument", ["mlp_ratio", "norm_eps"])
def test_ratios_of_decoders_are_numbers_above_0(argument, value):
    check_named(partial(MAEDecoder, 16, (2, 2), 8, depth=1), "MAEDecoder", argument, value)


@pytest.mark.parametrize(("dims", "heads"), [(18, 2), (16, 3), (8, 16)])
def test_widths_of_decoders_fit_heads_and_positions(dims, heads):
    with pytest.raises(ConfigError, match=rf"embed_dims={dims} must be .* num_heads={heads}"):
        MAEDecoder(16, (2, 2), 8, embed_dims=dims, num_heads=heads, depth=0)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, -1, 1.5], ids=repr)
@pytest.mark.parametrize("argument", ["in_channels", "out_channels", "num_fusion_layers"])
def test_sizes_of_heads_are_integers(argument, value):
    given = dict(in_channels=4, out_channels=4)
    given.pop(argument, None)
    check_named(partial(MimicHead, **given), "MimicHead", argument, value)
    check_named(PixelHead, "PixelHead", "patch_size", value)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, -1], ids=repr)
@pytest.mark.parametrize("argument", ["mask_ratio", "reconstruction_weight", "focus_temperature"])
def test_numbers_of_mrmae_are_named(argument, value):
    config = mrmae_config(PLAIN_BACKBONES["vit"])
    check_named(lambda **given: MODELS.build(config | given), "MRMAE", argument, value)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, -1], ids=repr)
@pytest.mark.parametrize("argument", ["mask_ratio", "range_mask_ratio"])
def test_ratios_of_mixtures_are_named(argument, value):
    check_named(MixImages, "MixImages", argument, value)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_pre_training_needs_full_mask_cells(name):
    build = mixmae_config if name in TINY_BACKBONES else mrmae_config
    stride = MODELS.build(copy.deepcopy(KINDS[name])).encoder_stride
    config = build(KINDS[name] | dict(img_size=(4 * stride, 4 * stride + 1)))
    with pytest.raises(ConfigError, match=rf"backbone.img_size=.* encoder stride {stride} in pre"):
        MODELS.build(config)

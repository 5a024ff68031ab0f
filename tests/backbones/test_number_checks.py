"""Arguments of encoders that are no numbers, or numbers of another kind."""

import copy

import numpy as np
import pytest
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES

from mim_plugins.backbones.number_checks import is_above_0, is_int, is_positive_int
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
    for check in (is_int, is_positive_int, is_above_0):
        assert check(3)
        assert not check(True)
    assert is_int(-1)
    assert not is_positive_int(-1)

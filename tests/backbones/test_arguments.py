import math
import re

import numpy as np
import pytest

from mim_plugins.backbones.arguments import (
    check_frozen_stages,
    check_img_size,
    check_out_indices,
    check_out_type,
    check_rate,
    check_windows,
    resolve_arch,
)
from mim_plugins.errors import ConfigError

PLAIN = {
    "small": dict(depth=2, embed_dims=8, num_heads=2),
    "base": dict(depth=4, embed_dims=16, num_heads=4),
}
STAGED = {
    "tiny": dict(depths=(1, 2, 1), embed_dims=(8, 16, 32), num_heads=2),
    "huge": dict(depths=(2, 4, 2), embed_dims=(16, 32, 64), num_heads=4),
}
WIDTH_OF_THE_FIRST = {"tiny": dict(depths=(1, 2), embed_dims=8, num_heads=(2, 4))}


@pytest.mark.parametrize("arch", ["base", "b", "Base", "B"])
def test_a_name_or_its_first_letter_selects_known_sizes(arch):
    assert resolve_arch("Net", PLAIN, arch) == PLAIN["base"]


@pytest.mark.parametrize("arch", ["", "ba", "large", "bases"])
def test_an_unknown_name_is_refused_with_the_known_names(arch):
    expected = (
        f"Net: arch={arch!r} is unknown; choose one of ['small', 'base'] or set a dict with"
        " the keys ['depth', 'embed_dims', 'num_heads']"
    )
    with pytest.raises(ValueError, match=re.escape(expected)):
        resolve_arch("Net", PLAIN, arch)


@pytest.mark.parametrize(
    ("known", "arch"),
    [
        (PLAIN, dict(depth=1, embed_dims=4, num_heads=1)),
        (STAGED, dict(depths=(1, 1, 1), embed_dims=(4, 4, 4), num_heads=1)),
        (STAGED, dict(depths=[1, 1, 1], embed_dims=[4, 4, 4], num_heads=1)),
        (WIDTH_OF_THE_FIRST, dict(depths=(1, 1), embed_dims=4, num_heads=(1, 1))),
        (WIDTH_OF_THE_FIRST, dict(depths=(1, 1), embed_dims=(4, 8), num_heads=(1, 1))),
    ],
)
def test_a_dict_of_the_same_form_is_copied(known, arch):
    before = repr(arch)
    resolved = resolve_arch("Net", known, arch, may_double=("embed_dims",))
    assert resolved == arch
    assert resolved is not arch
    assert repr(arch) == before


@pytest.mark.parametrize(
    "arch",
    [
        dict(depth=1, embed_dims=4),
        dict(depth=1, embed_dims=4, num_heads=1, mlp_ratio=4),
        dict(depths=1, embed_dims=4, num_heads=1),
        {},
    ],
)
def test_missing_and_unknown_keys_are_refused(arch):
    with pytest.raises(ValueError, match=r"Net: arch=\{.*\} must have exactly the keys \['depth'"):
        resolve_arch("Net", PLAIN, arch)


@pytest.mark.parametrize("key", ["depth", "num_heads", "embed_dims"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2", None, (1, 2), ()])
def test_single_numbers_must_be_positive(key, value):
    arch = dict(depth=1, embed_dims=4, num_heads=1) | {key: value}
    with pytest.raises(ValueError, match=rf"Net: arch\['{key}'\]={re.escape(repr(value))}"):
        resolve_arch("Net", PLAIN, arch)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("embed_dims", (4, 4)),
        ("embed_dims", (4, 4, 4, 4)),
        ("depths", 3),
    ],
)
def test_numbers_per_stage_must_be_as_many_as_the_depths(key, value):
    arch = dict(depths=(1, 1, 1), embed_dims=(4, 4, 4), num_heads=1) | {key: value}
    with pytest.raises(
        ValueError, match=rf"Net: arch\['\w+'\]=.* must list {0 if key == 'depths' else 3} "
    ):
        resolve_arch("Net", STAGED, arch)


@pytest.mark.parametrize("value", [0, (1, 1), True, "2"])
def test_one_number_stays_one_number(value):
    arch = dict(depths=(1, 1, 1), embed_dims=(4, 4, 4), num_heads=value)
    with pytest.raises(ValueError, match=r"arch\['num_heads'\]=.*positive integer"):
        resolve_arch("Net", STAGED, arch)


def test_a_known_number_of_stages_may_be_required():
    arch = dict(depths=(1, 1), embed_dims=(4, 4), num_heads=1)
    assert resolve_arch("Net", STAGED, arch) == arch
    with pytest.raises(ValueError, match=r"must list 3"):
        resolve_arch("Net", STAGED, arch, fixed_stages=True)


@pytest.mark.parametrize(
    ("img_size", "expected"),
    [(64, (64, 64)), ((32, 97), (32, 97)), ([32, 96], (32, 96))],
)
def test_one_side_or_two_give_height_and_width(img_size, expected):
    assert check_img_size("Net", img_size) == expected


@pytest.mark.parametrize(
    ("img_size", "sides"),
    [
        (0, (0, 0)),
        (-16, (-16, -16)),
        ((64, 64, 64), (64, 64, 64)),
        ((64,), (64,)),
        ((), ()),
        ((64, 60.5), (64, 60.5)),
    ],
)
def test_sides_must_be_positive_integers(img_size, sides):
    message = f"Net: img_size={sides} must be one side or (H, W)"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_img_size("Net", img_size)


@pytest.mark.parametrize("out_type", ["featmap", "avg_featmap"])
def test_known_output_types_are_returned(out_type):
    assert check_out_type("Net", out_type) == out_type


@pytest.mark.parametrize("out_type", ["cls_token", "", None])
def test_other_output_types_are_refused(out_type):
    with pytest.raises(ValueError, match=rf"Net: out_type={out_type!r} must be one of .*featmap"):
        check_out_type("Net", out_type)


@pytest.mark.parametrize(
    ("indices", "expected"),
    [(2, (2,)), (-1, (3,)), ((0, -1), (0, 3)), ([3, 1], (3, 1)), ((-4,), (0,))],
)
def test_indices_are_counted_from_0_and_keep_their_order(indices, expected):
    assert check_out_indices("Net", indices, 4) == expected


@pytest.mark.parametrize("indices", [(), (4,), (-5,), (0, 0), (3, -1), (0, 4)])
def test_indices_out_of_range_or_given_twice_are_refused(indices):
    message = f"Net: out_indices={indices} must be distinct integers between -4 and 3"
    with pytest.raises(ValueError, match=re.escape(message)):
        check_out_indices("Net", indices, 4)


@pytest.mark.parametrize(
    ("window", "given", "expected"),
    [(None, (), ()), (2, (), ()), (2, -1, (3,)), (2, (2, 0), (0, 2))],
)
def test_global_blocks_are_counted_from_0_and_in_order(window, given, expected):
    assert check_windows("Net", window, given, 4) == expected


@pytest.mark.parametrize(
    ("window", "given", "message"),
    [
        (0, (), "Net: window_size=0 must be"),
        (True, (), "Net: window_size=True"),
        (2, 4, "Net: global_blocks=(4,) must be distinct and between -4 and 3"),
        (2, (0, 0), "Net: global_blocks=(0, 0)"),
        (None, 1, "Net: global_blocks=(1,) requires window_size"),
        (2, None, "Net: global_blocks=None must be an index"),
        (2, "3", "Net: global_blocks='3' must be an index"),
        (2, (2.0,), "Net: global_blocks=(2.0,) must be an index"),
        (2, True, "Net: global_blocks=True must be an index"),
    ],
)
def test_wrong_windows_are_refused(window, given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_windows("Net", window, given, 4)


@pytest.mark.parametrize("stages", [-1, 0, 3])
def test_frozen_stages_in_range_pass(stages):
    assert check_frozen_stages("Net", stages, 3) == stages


@pytest.mark.parametrize("stages", [-2, 4])
def test_frozen_stages_out_of_range_are_refused(stages):
    with pytest.raises(
        ValueError, match=f"Net: frozen_stages={stages} must be an integer between -1 and 3"
    ):
        check_frozen_stages("Net", stages, 3)


@pytest.mark.parametrize("rate", [-0.1, 1.01, np.float32(1.5), math.nan, "0.1", None, True])
def test_a_rate_outside_of_0_to_1_is_refused(rate):
    message = rf"E: drop_path_rate={re.escape(repr(rate))} must .* from 0 to 1"
    with pytest.raises(ConfigError, match=message):
        check_rate("E", "drop_path_rate", rate)


@pytest.mark.parametrize("rate", [0, 0.5, 1, 1.0, np.float32(0.1), np.int64(1)])
def test_a_rate_from_0_to_1_is_allowed(rate):
    check_rate("E", "drop_path_rate", rate)

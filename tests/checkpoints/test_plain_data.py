import argparse
import collections

import numpy as np
import pytest
import torch

from mim_plugins.checkpoints.plain_data import (
    check_plain,
    check_tensor,
    describe,
    expect,
    expect_all,
    inside,
    is_plain,
)
from mim_plugins.errors import CheckpointError


class Text(str):
    pass


def with_attribute(tensor):
    tensor.note = "text"
    return tensor


def ordered_with_attribute():
    content = collections.OrderedDict(a=1)
    content.items = 3
    return content


PLAIN = [
    None, True, 3, -1.5, float("inf"), 1j, "text", b"bytes", [], (), {}, [1, (2, {"a": [None]})],
    collections.OrderedDict(a=1), {1: "a", None: "b", ("a", 2): "c"}, torch.zeros(2),
    torch.nn.Parameter(torch.zeros(2)),
]  # fmt: skip
NUMPY = [np.float64(1), np.float32(1), np.int64(1), np.bool_(True), np.zeros(2), np.zeros(2, "u1")]
FOREIGN = [
    Text("text"), set(), frozenset(), range(3), object(), print, len, type, argparse.Namespace(),
    collections.Counter(), collections.defaultdict(int), collections.deque(), torch.Size([1]),
    torch.float32, torch.device("cpu"), np.str_("text"), np.array(["text"]), np.array([None]),
    np.zeros(1, "<i8,<f8"), np.zeros(1, "<i8,<f8")[0], np.zeros(1, "V4"), np.dtype("f8"),
    np.datetime64("2020"), np.ma.masked_array([1.0]), torch.zeros(2).to_sparse(), 2**64, -(2**70),
    torch.zeros(2, device="meta"), with_attribute(torch.zeros(2)), ordered_with_attribute(),
    {Text("a"): 1}, {2.5: set()}, {(1, Text("a")): 1}, {frozenset(): 1},
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN)
def test_plain_data_is_accepted_at_any_depth(value):
    for nested in (value, [value], {"a": (value,)}):
        check_plain(nested, "x", numpy=False)
        assert is_plain(nested)


@pytest.mark.parametrize("value", NUMPY)
def test_numpy_numbers_are_accepted_only_where_allowed(value):
    check_plain([value], "x")
    with pytest.raises(CheckpointError, match=r"x\[0\] is numpy\."):
        check_plain([value], "x", numpy=False)


@pytest.mark.parametrize("value", FOREIGN)
def test_everything_else_is_refused_at_any_depth(value):
    for nested in (value, [value], {"a": (value,)}, collections.OrderedDict(b={"a": [value]})):
        assert not is_plain(nested)
        with pytest.raises(CheckpointError, match=r"\bx"):
            check_plain(nested, "x")


def test_endless_nesting_is_refused_and_shared_parts_are_fast():
    endless = []
    endless.append(endless)
    with pytest.raises(CheckpointError, match="nested more than"):
        check_plain(endless, "x")
    shared = []
    for _ in range(30):
        shared = [shared, shared]  # 2**30 paths
    check_plain(shared, "x")


@pytest.mark.parametrize("value", [True, 3.0, None, np.int64(3), "3", torch.tensor(3)])
def test_a_value_must_have_exactly_the_expected_type(value):
    expect(3, "x", int)
    expect_all([3, 4], "x", int)
    with pytest.raises(CheckpointError, match=r"x is .*, not int$"):
        expect(value, "x", int)
    with pytest.raises(CheckpointError, match=r"x\[1\] is .*, not int$"):
        expect_all([3, value], "x", int)
    with pytest.raises(CheckpointError, match=r"not list$"):
        expect_all((3,), "x", int)


def test_values_and_names_are_printable_on_one_line():
    for name in ("a\nb", "\udcff", "\x1b[31m", "ü", 10**5000, Text("a"), ("a",), "a" * 5000):
        for text in (describe(name), inside("x", name)):
            assert text.isprintable()
            assert len(text) < 120
    assert inside("x", "weight") == "x.weight"


def test_a_tensor_must_store_its_values():
    check_tensor(torch.zeros(2).expand(3, 2), "x")
    for tensor in (3.0, torch.zeros(2).to_sparse(), torch.quantize_per_tensor(
        torch.zeros(2), 1.0, 0, torch.quint8
    )):  # fmt: skip
        with pytest.raises(CheckpointError, match=r"^x is"):
            check_tensor(tensor, "x")

import argparse
import collections

import numpy as np
import pytest
import torch

from mim_plugins.checkpoints import read_tensors, sanitize_checkpoint
from mim_plugins.checkpoints.weights import check_weights, extract_weights
from mim_plugins.errors import CheckpointError

WEIGHT = torch.arange(6.0).reshape(2, 3)


class Mapping(dict):
    pass


STRANGE = [
    np.float64(1), np.zeros(2), set(), argparse.Namespace(a=WEIGHT), collections.Counter("a"),
    [WEIGHT], (WEIGHT,), torch.Size([1]), Mapping(a=WEIGHT),
    np.array([(1, 2)], [("a", "i8"), ("b", "i8")])[0],
]  # fmt: skip


@pytest.mark.parametrize("strange", STRANGE)
def test_weights_of_another_type_raise_a_one_line_error(strange):
    for content in (
        strange,
        {"state_dict": strange},
        {"model": strange, "a": WEIGHT},
        {"module": strange},
        {"state_dict": {"a": WEIGHT, "b": strange}},
        {"model": {"a": {"b": WEIGHT}}},
        {"state_dict": {"a": None}},
        {"state_dict": {3: WEIGHT}},
        {3: WEIGHT},
    ):
        with pytest.raises(CheckpointError, match="'x' cannot be loaded") as caught:
            extract_weights(content, "x")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("strange", STRANGE[:6])
def test_other_entries_of_a_bare_state_dict_are_ignored(strange):
    assert list(extract_weights({"a": WEIGHT, "epoch": strange, "model": "vit"}, "x")) == ["a"]


def test_a_duplicate_name_is_refused():
    with pytest.raises(CheckpointError, match="two tensors are named a"):
        extract_weights({"a": WEIGHT, "module.a": WEIGHT}, "x")


def test_attributes_of_tensors_are_not_read_from_a_file(tmp_path):
    parameter = torch.nn.Parameter(WEIGHT.clone())
    parameter.clone = "text"
    torch.save({"a": parameter}, tmp_path / "x.pth")
    checkpoint = {"state_dict": {"a": parameter}}
    sanitize_checkpoint(checkpoint, "x")
    for tensors in (read_tensors(tmp_path / "x.pth"), checkpoint["state_dict"]):
        assert torch.equal(tensors["a"].clone(), WEIGHT)


def test_versions_in_a_state_dict_must_be_plain_data():
    state = torch.nn.BatchNorm2d(2).state_dict()
    check_weights(state, "x")
    for metadata in (3, {"": 3}, {"": {"version": set()}}):
        state._metadata = metadata
        with pytest.raises(CheckpointError, match=r"x\._metadata"):
            check_weights(state, "x")
    state._metadata = {}
    state.copy = 3
    with pytest.raises(CheckpointError, match=r"x\.copy is an attribute"):
        check_weights(state, "x")

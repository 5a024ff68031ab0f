import pytest
import torch
from torch import nn

from mim_plugins.checkpoints.strict_loading import compare_names, describe_mismatch, load_strictly
from mim_plugins.errors import CheckpointError


def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def state(changes=None):
    torch.manual_seed(1)
    tensors = {name: torch.randn_like(value) for name, value in module().state_dict().items()}
    return tensors | (changes or {})


def test_all_tensors_are_loaded():
    target = module()
    load_strictly(target, state(), "a.pth")
    assert all(torch.equal(value, state()[name]) for name, value in target.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"0.weight": torch.zeros(4, 5)}, "'a.pth' does not fit Sequential"),
        ({"2.weight": torch.zeros(1)}, "'a.pth' does not fit Sequential"),
        ({"0.bias": torch.full((4,), float("nan"))}, "a.pth"),
        ({"0.bias": torch.zeros(4, dtype=torch.long)}, "a.pth"),
    ],
)
def test_an_error_leaves_the_module_unchanged(changes, message):
    target = module()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        load_strictly(target, state(changes), "a.pth")
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_missing_tensors_are_an_error_unless_allowed():
    given = state()
    del given["1.bias"]
    with pytest.raises(CheckpointError, match=r"1\.bias"):
        load_strictly(module(), given, "a.pth")
    load_strictly(module(), given, "a.pth", allow_missing=True)


def test_differences_of_names_and_shapes_are_described():
    own, given = module().state_dict(), state({"3.weight": torch.zeros(1)})
    del given["1.bias"]
    given["0.weight"] = torch.zeros(4, 5)
    text = describe_mismatch(own, given)
    assert "1 missing in the file: 1.bias" in text
    assert "1 unknown to the model: 3.weight" in text
    assert "0.weight 4x5 in the file, 4x3 in the model" in text
    assert describe_mismatch(own, state()) == ""
    assert compare_names(own, state()) == []

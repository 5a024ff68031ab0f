import pytest
import torch
from torch import nn

from mim_plugins.checkpoints import load_pretrained, require_weights
from mim_plugins.checkpoints.tensor_check import find_wrong_kinds
from mim_plugins.errors import CheckpointError

OWN = {
    "weight": torch.ones(2, 2),
    "half": torch.ones(2, dtype=torch.float16),
    "count": torch.tensor(3),
    "small": torch.tensor([1], dtype=torch.uint8),
    "flag": torch.tensor([True]),
    "complex": torch.ones(1, dtype=torch.complex64),
}


@pytest.mark.parametrize(
    "dtype",
    [
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.uint16,
        torch.uint32,
        torch.uint64,
        torch.bool,
        torch.complex32,
        torch.complex64,
        torch.complex128,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
        torch.float8_e4m3fnuz,
    ],
)
@pytest.mark.parametrize("own", [OWN, None])
def test_weights_of_other_types_are_refused(dtype, own):
    given = {"weight": torch.ones(2, 2).to(dtype)}
    short = str(dtype).removeprefix("torch.")
    message = rf"'f' contains 1 tensors of another .*weight \({short}, where float32 is expected\)"
    with pytest.raises(CheckpointError, match=message):
        require_weights(given, "f", own)
    assert find_wrong_kinds(given, own)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats_of_all_sizes_are_accepted(dtype):
    require_weights({"weight": torch.full((2, 2), -3.5, dtype=dtype)}, "f", OWN)
    require_weights({"weight": torch.full((2, 2), -3.5, dtype=dtype)}, "f")
    require_weights({"weight": torch.empty(0, dtype=dtype)}, "f", OWN)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        (
            "weight",
            torch.tensor([1.0, 1e300], dtype=torch.float64),
            r"up to 1\.0e\+300, beyond float32",
        ),
        ("weight", torch.tensor(-3.5e38, dtype=torch.float64), r"up to 3\.5e\+38, beyond float32"),
        ("half", torch.tensor([65520.0]), r"up to 6\.6e\+04, beyond float16"),
        ("half", torch.tensor([1e38], dtype=torch.bfloat16), r"up to 1\.0e\+38, beyond float16"),
        ("small", torch.tensor([256]), r"small \(beyond uint8\)"),
        ("small", torch.tensor([-1], dtype=torch.int8), r"small \(beyond uint8\)"),
    ],
)
def test_values_beyond_the_models_type_are_refused(name, tensor, message):
    with pytest.raises(CheckpointError, match=rf"exceed the range.*{message}"):
        require_weights({name: tensor}, "f", OWN)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("weight", torch.tensor([3.4e38, 1e-300], dtype=torch.float64)),
        ("half", torch.tensor([65504.0, 1e-20])),
        ("count", torch.tensor(2**40)),
        ("count", torch.tensor(7, dtype=torch.uint8)),
        ("small", torch.tensor([255])),
        ("flag", torch.tensor([False])),
        ("complex", torch.ones(1, dtype=torch.complex64)),
        ("other", torch.ones(1, dtype=torch.complex64)),  # unknown to the model
    ],
)
def test_values_within_the_models_type_are_accepted(name, tensor):
    require_weights({name: tensor}, "f", OWN)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("count", torch.tensor(3.0)),
        ("count", torch.tensor(True)),
        ("flag", torch.tensor([1])),
        ("complex", torch.ones(1)),
        ("complex", torch.ones(1, dtype=torch.complex128)),
    ],
)
def test_buffers_keep_their_kind(name, tensor):
    with pytest.raises(CheckpointError, match=f"{name} .*is expected"):
        require_weights({name: tensor}, "f", OWN)


def test_integer_buffers_are_accepted_without_a_model():
    names = ("bn.num_batches_tracked", "attn.relative_position_index", "position_ids")
    require_weights({name: torch.tensor([1, 2]) for name in names}, "f")
    for name in (*names, "index.weight"):
        with pytest.raises(CheckpointError, match=name):
            require_weights({name: torch.tensor([True])}, "f")
    with pytest.raises(CheckpointError, match=r"index\.weight"):
        require_weights({"index.weight": torch.tensor([1])}, "f")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("own", [OWN, None])
def test_the_first_bad_tensor_is_named_with_its_share(bad, own):
    given = {"half": torch.ones(2), "weight": torch.tensor([[1, bad], [1, 1]])}
    message = (
        r"'f' contains NaN or infinite values in 1 of 2 tensors: weight \(25 % of its values\)"
    )
    with pytest.raises(CheckpointError, match=message):
        require_weights(given, "f", own)


def test_infinities_that_a_model_has_by_design_are_accepted():
    own = {"mask": torch.tensor([0.0, -float("inf")])}
    require_weights({"mask": own["mask"].clone()}, "f", own)
    require_weights({"mask": own["mask"].double()}, "f", own)
    for values in ([-float("inf"), 0.0], [0.0, float("inf")], [0.0, float("nan")]):
        with pytest.raises(CheckpointError, match="mask"):
            require_weights({"mask": torch.tensor(values)}, "f", own)


def test_wrong_tensors_are_counted_and_three_are_named():
    given = {f"a{index}": torch.tensor([1]) for index in range(9)}
    with pytest.raises(
        CheckpointError, match=r"contains 9 .*: a0 .*, a1 .*, a2 .* and 6 more; give"
    ):
        require_weights(given, "f")


class Normed(nn.Module):
    """Encoder with an integer buffer."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)


def test_an_encoders_integer_buffers_are_loaded(tmp_path):
    saved, loaded = Normed(), Normed()
    saved.norm.num_batches_tracked += 2**40
    torch.save(saved.state_dict(), tmp_path / "x.pth")
    load_pretrained(loaded, tmp_path / "x.pth")
    assert loaded.norm.num_batches_tracked.item() == 2**40


@pytest.mark.parametrize("name", ["norm.weight", "norm.num_batches_tracked"])
def test_an_encoder_is_unchanged_after_the_error(tmp_path, name):
    tensors = Normed().state_dict()
    tensors[name] = tensors[name].to(torch.complex64)
    torch.save(tensors, tmp_path / "x.pth")
    module = Normed()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf"x\.pth' contains 1 .*{name} \(complex64"):
        load_pretrained(module, tmp_path / "x.pth")
    assert all(torch.equal(before[key], t) for key, t in module.state_dict().items())


@pytest.mark.parametrize(
    ("value", "given", "wanted"),
    [
        (1e-300, torch.float64, torch.float32),
        (1e-60, torch.float64, torch.bfloat16),
        (1e-10, torch.float32, torch.float16),
    ],
)
def test_a_tensor_that_would_become_zero_is_refused(value, given, wanted):
    own = dict(a=torch.ones(3, dtype=wanted))
    with pytest.raises(CheckpointError, match=r"exceed the range.*a \(1\.0e-.*rounds to 0\)"):
        require_weights(dict(a=torch.full((3,), value, dtype=given)), "x", own)
    require_weights(dict(a=torch.zeros(3, dtype=given)), "x", own)
    # rounding, as of a few tiny values of a trained model
    require_weights(dict(a=torch.tensor([1.0, 0.5, value], dtype=given)), "x", own)

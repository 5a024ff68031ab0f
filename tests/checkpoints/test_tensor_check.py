import json
import struct

import crafted_pickles
import pytest
import torch
from crafted_pickles import Call, tensor
from torch import nn

from mim_plugins.checkpoints import (
    load_pretrained,
    read_tensors,
    require_plain,
    require_weights,
)
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


def special_tensors():
    weight = torch.eye(3)
    return {
        "sparse_coo": weight.to_sparse(),
        "sparse_csr": weight.to_sparse_csr(),
        "sparse_bsc": torch.eye(4).to_sparse_bsc((2, 2)),
        "quantized, qint8": torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
        "quantized, quint8": torch.quantize_per_channel(
            weight, torch.ones(3), torch.zeros(3), 0, torch.quint8
        ),
        "meta device": weight.to("meta"),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "NestedTensor": torch.nested.nested_tensor(
            [torch.ones(2), torch.ones(3)], layout=torch.jagged
        ),
        r"1\.1e\+12 elements, of which the file contains 4 bytes": torch.ones(1).expand(2**40),
        r"1\.1e\+15 elements": torch.ones(1).expand(2**20, 2**30),
    }


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", list(special_tensors()))
def test_special_tensors_are_refused(tmp_path, kind):
    tensor = special_tensors()[kind]
    with pytest.raises(
        CheckpointError, match=rf"'f' contains 1 tensors.*: a \(.*{kind}.*\); get dense"
    ):
        require_plain({"a": tensor, "b": torch.ones(1)}, "f")
    torch.save({"state_dict": {"a": tensor}}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=kind) as caught:
        read_tensors(tmp_path / "x.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_subclass_of_tensors_is_refused():
    class Own(torch.Tensor):
        pass

    with pytest.raises(CheckpointError, match=r"a \(Own\)"):
        require_plain({"a": torch.ones(1).as_subclass(Own)}, "f")


def test_plain_tensors_of_all_kinds_are_accepted():
    base = torch.arange(12.0).reshape(3, 4)
    require_plain(
        dict(
            view=base[1:, ::2],
            turned=base.T,
            parameter=nn.Parameter(base),
            buffer=nn.Buffer(base),
            expanded=torch.ones(1, 1, 5).expand(7, 3, 5),
            empty=torch.empty(0, 3),
            scalar=torch.tensor(1),
            fp8=base.to(torch.float8_e4m3fn),  # types are checked only against those of a model
        ),
        "f",
    )


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
    "crafted",
    [
        tensor((2**40, 2), (2, 1)),
        tensor((2**70, 2), (2, 1)),
        tensor((-2, 2), (2, 1)),
        tensor((2, 2), (2**62, 2**62)),
        tensor((2, 2), (-1, -1)),
        tensor((2, 2), (2, 1), offset=2**62),
        tensor((2, 2), (2, 1), offset=-1),
        tensor((2, 2), (2, 1), count=2**60),
        tensor((2, 2), (2, 1), count=2**70),
        tensor((2, 2), (2, 1), count=-1),
        tensor((2.5, 2), (2, 1)),
        tensor("ab", (2, 1)),
        tensor((2, 2), (2, 1), storage=5),
        tensor((2**30, 2**30), (0, 0)),
        Call(torch._utils._rebuild_parameter, 5, True, {}),
        Call(torch._utils._rebuild_meta_tensor_no_storage, torch.float32, (2**40,), (1,), False),
    ],
)
def test_absurd_sizes_raise_one_clear_error(tmp_path, crafted):
    crafted_pickles.write(tmp_path / "x.pth", {"a": tensor((2, 2), (2, 1))})
    assert read_tensors(tmp_path / "x.pth")["a"].shape == (2, 2)
    crafted_pickles.write(tmp_path / "x.pth", {"a": crafted})
    with pytest.raises(CheckpointError, match=r"x\.pth'") as caught:
        read_tensors(tmp_path / "x.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("F8_E8M0", [4]),
        ("F4", [8]),
        ("F999", [4]),
        ("F32", [2**40]),
        ("F32", [2**63]),
        ("F32", [-1]),
        ("I64", [1]),
        ("F8_E4M3", [4]),
    ],
)
def test_safetensors_of_other_types_or_sizes_are_refused(tmp_path, dtype, shape):
    pytest.importorskip("safetensors")
    data = bytes(4) if dtype != "I64" else bytes(8)
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"weight": entry}).encode()
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + data)
    with pytest.raises(CheckpointError, match=r"x\.safetensors'") as caught:
        require_weights(read_tensors(file), file)
    assert "\n" not in str(caught.value)


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

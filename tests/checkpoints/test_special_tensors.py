"""Tensors in files that are no plain weights."""

import json
import struct

import crafted_pickles
import pytest
import torch
from crafted_pickles import Call, tensor
from torch import nn

from mim_plugins.checkpoints import read_tensors, require_plain, require_weights
from mim_plugins.errors import CheckpointError


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

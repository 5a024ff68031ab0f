import io
import zipfile

import numpy as np
import pytest
import torch

from mim_plugins.checkpoints import read_reference, read_tensors
from mim_plugins.errors import CheckpointError

WEIGHT = torch.arange(6.0).reshape(2, 3)


def test_entries_of_a_reference_are_grouped(tmp_path):
    np.savez(tmp_path / "x.npz", **{"param/a": WEIGHT.numpy(), "config": "{}", "loss": 1.5})
    reference = read_reference(tmp_path / "x.npz")
    assert reference["config"] == "{}"
    assert reference["loss"].item() == 1.5
    assert torch.equal(reference["param"]["a"], WEIGHT)
    assert torch.equal(read_tensors(tmp_path / "x.npz")["a"], WEIGHT)


def test_a_reference_without_weights_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", loss=1.0)
    with pytest.raises(ValueError, match="param/"):
        read_tensors(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no file '.*x.npz': correct"), (b"garbage", "corrupt or not an .npz file")],
)
def test_a_missing_or_corrupt_reference_file_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_reference(tmp_path / "x.npz")
    assert "unsafely" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.longdouble([1]), "NumPy's type"),
        (np.array(["a", "b"]), "NumPy's type <U1"),
        (np.array("text"), "text .* at param/a"),
        (np.datetime64("2026-01-01"), "datetime64"),
        (np.zeros(2, [("x", "f4")]), "NumPy's type"),
        (np.array([{}]), "corrupt or not an .npz"),
    ],
)
def test_types_that_pytorch_lacks_are_refused(tmp_path, value, message):
    np.savez(tmp_path / "x.npz", **{"param/a": value})
    with pytest.raises(CheckpointError, match=message) as caught:
        read_tensors(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


def test_numbers_in_the_other_byte_order_are_read(tmp_path):
    swapped = WEIGHT.numpy().astype(WEIGHT.numpy().dtype.newbyteorder())
    np.savez(tmp_path / "x.npz", **{"param/a": swapped})
    assert torch.equal(read_tensors(tmp_path / "x.npz")["a"], WEIGHT)


@pytest.mark.parametrize("shape", ["(10000000000000,)", "(3,)", "(-1,)", "(99999999999999999999,)"])
def test_sizes_larger_than_the_file_are_refused(tmp_path, shape):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(2, "f4"))
    content = buffer.getvalue()
    # the header is padded with spaces to a fixed length
    wanted = f"'shape': {shape}".encode()
    begin = content.index(b"'shape': (2,)")
    rest = content[begin + len(b"'shape': (2,)") :]
    extra = len(wanted) - len(b"'shape': (2,)")
    content = content[:begin] + wanted + rest.replace(b" " * extra, b"", 1)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("param/a.npy", content)
    with pytest.raises(CheckpointError, match="corrupt or not an"):
        read_tensors(tmp_path / "x.npz")

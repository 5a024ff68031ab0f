import argparse
import copy
import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mim_plugins.checkpoints import is_unrestricted, plain_data_only, read_tensors
from mim_plugins.checkpoints.metadata import read_metadata
from mim_plugins.errors import CheckpointError


def reread(content, folder):
    torch.save(content, folder / "x.pth")
    with plain_data_only():
        return torch.load(folder / "x.pth")


def filled(*values):
    buffer = HistoryBuffer()
    for value in values:
        buffer.update(value)
    return buffer


def test_log_buffers_and_numpy_scalars_load_with_weights_only(tmp_path):
    content = dict(loss=filled(2.0, 4.0), step=np.float64(3), counts=np.arange(3))

    loaded = reread(reread(content, tmp_path), tmp_path)

    assert type(loaded["loss"]) is HistoryBuffer
    assert type(loaded["loss"].data[0]) is np.ndarray
    assert loaded["loss"].mean() == 3.0
    assert loaded["loss"].current() == 4.0
    assert loaded["step"] == 3
    assert loaded["counts"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("code", ["?", "i1", "u1", "i2", "u4", "i8", "f2", "f4", "f8", ">f8"])
def test_numbers_of_all_types_are_read_exactly(tmp_path, code):
    array = np.array([[0, 1], [1, 0]], code)

    loaded = reread([array, array[0, 1], np.asfortranarray(array), array[:0]], tmp_path)

    for before, after in zip([array, array[0, 1], array, array[:0]], loaded, strict=True):
        assert np.array_equal(before, after)
        assert before.dtype == after.dtype.newbyteorder(before.dtype.byteorder)
    native = array.astype(array.dtype.newbyteorder("="))  # the byte order in which NumPy reads
    assert pickle.dumps(loaded[0]) == pickle.dumps(native)
    assert type(pickle.loads(pickle.dumps(loaded[0]))) is np.ndarray
    assert copy.deepcopy(loaded[0]).tolist() == array.tolist()


class Made:
    """Object that is pickled as a call and a state."""

    def __init__(self, target, arguments, *state):
        self.reduced = (target, arguments, *state)

    def __reduce__(self):
        return self.reduced


RECONSTRUCT, ARRAY_PARTS = np.zeros(1).__reduce__()[:2]
SCALAR = np.float64(1).__reduce__()[0]


def dtype(code, *state):
    return Made(np.dtype, (code, False, True), *state)


def array(kind, content=bytes(8), shape=(1,)):
    return Made(RECONSTRUCT, ARRAY_PARTS, (1, shape, kind, False, content))


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        (print, ("executed",)),
        (getattr, (HistoryBuffer, "__init__")),
        (getattr, (torch.Tensor, "numpy")),
    ],
)
def test_anything_else_is_refused(tmp_path, target, arguments, capsys):
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        reread(Made(target, arguments), tmp_path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        array(dtype("f8", (3, "<", None, None, None, -1, -1, 63))),  # bytes interpreted as pointers
        array(dtype("f8", (3, "|", (np.dtype("i8"), (4,)), None, None, 32, 8, 0))),  # 4 per item
        array(dtype("f8", (3, "|", None, ("a",), {"a": (np.dtype("i8"), 0)}, 16, 8, 0))),
        array(dtype("f8", (4, "<", None, None, None, -1, -1, 0, {"a": 1}))),
        array(dtype("O"), [{}]),
        array(dtype("V8")),
        array(dtype([("epoch", "<i8")])),
        array(dtype("U2")),
        array("f8"),
        array(np.dtype("f8"), [1.0]),
        array(np.dtype("f8"), shape=(-1,)),
        Made(RECONSTRUCT, (HistoryBuffer, (0,), b"b")),
        Made(SCALAR, (dtype([("epoch", "<i8"), ("config", "<U2")]), bytes(16))),
        Made(SCALAR, (dtype("O"), {})),
        Made(SCALAR, (np.dtype("f8"), bytes(4))),
        np.str_("text"),
        np.array("2020-01-01", "M8"),
    ],
)  # fmt: skip
def test_numpy_data_other_than_numbers_is_refused(tmp_path, content):
    with pytest.raises((CheckpointError, pickle.UnpicklingError)):
        reread(content, tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_length", 2.0),
        ("_log_history", [1.0, 2.0]),
        ("_log_history", np.zeros((1, 1))),
        ("_count_history", np.zeros(3)),
        ("mean", 3),
    ],
)
def test_a_log_buffer_with_other_fields_is_refused(tmp_path, field, value):
    buffer = filled(1.0)
    vars(buffer)[field] = value
    with pytest.raises(CheckpointError, match="HistoryBuffer"):
        reread(buffer, tmp_path)


def test_a_file_cannot_change_the_statistics_of_log_buffers(tmp_path, monkeypatch):
    before = dict(HistoryBuffer._statistics_methods)
    with monkeypatch.context() as patch:
        patch.setattr(HistoryBuffer, "_statistics_methods", dict(mean="text", other=1))
        torch.save(filled(1.0, 3.0), tmp_path / "x.pth")

    with plain_data_only():
        loaded = torch.load(tmp_path / "x.pth")

    assert loaded.statistics("mean") == 2.0
    assert HistoryBuffer._statistics_methods == before


def test_log_buffers_have_statistics_in_a_new_process(tmp_path, monkeypatch):
    torch.save(filled(1.0, 3.0), tmp_path / "x.pth")
    monkeypatch.setattr(HistoryBuffer, "_statistics_methods", {})  # as in a new process
    with plain_data_only():
        loaded = torch.load(tmp_path / "x.pth")
    assert loaded.statistics("mean") == 2.0
    assert loaded.statistics("current") == 3.0


USERS = [RECONSTRUCT, SCALAR, np.ndarray, np.dtype, type(np.dtype("f8")), argparse.Namespace]


@pytest.fixture
def users_list():
    with torch.serialization.safe_globals(USERS):
        yield set(torch.serialization.get_safe_globals())


def test_users_entries_are_replaced_only_while_reading(tmp_path, users_list):
    with pytest.raises(CheckpointError):
        reread(array(dtype("V8")), tmp_path)
    content = dict(array=np.arange(3.0), number=np.float64(2.5), loss=filled(2.0))
    assert type(reread(content, tmp_path)["loss"]) is HistoryBuffer
    assert set(torch.serialization.get_safe_globals()) == users_list
    content.pop("loss")
    torch.save(content, tmp_path / "x.pth")
    assert type(torch.load(tmp_path / "x.pth", weights_only=True)["array"]) is np.ndarray


def test_entries_added_while_reading_stay(users_list):
    with plain_data_only(), plain_data_only():
        torch.serialization.add_safe_globals([Made])
    try:
        assert set(torch.serialization.get_safe_globals()) == users_list | {Made}
    finally:
        torch.serialization._weights_only_unpickler._remove_safe_globals([Made])


def test_mmengines_loader_reads_training_checkpoints(tmp_path, users_list):
    torch.save(dict(loss=filled(2.0), time=np.float64(2.5)), tmp_path / "x.pth")
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / "x.pth"), "cpu")
    assert loaded["loss"].mean() == 2.0
    assert loaded["time"] == 2.5
    assert set(torch.serialization.get_safe_globals()) == users_list


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), ("", False), ("0", False), ("false", False), ("no", False), ("True", False),
     ("1", True), ("y", True), ("yes", True), ("true", True)],
)  # fmt: skip
def test_users_environment_does_not_change_what_is_read(tmp_path, monkeypatch, value, expected):
    """PyTorch rejects both variables together."""
    if value is not None:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", value)
    file = tmp_path / "x.pth"
    torch.save(dict(meta=dict(epoch=1), state_dict=dict(weight=torch.ones(2))), file)

    assert read_tensors(file)["weight"].tolist() == [1, 1]
    assert read_metadata(file) == dict(epoch=1)
    with pytest.raises((CheckpointError, pickle.UnpicklingError)):
        reread(Made(print, ("executed",)), tmp_path)

    assert is_unrestricted() is expected
    assert os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD") == value
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ

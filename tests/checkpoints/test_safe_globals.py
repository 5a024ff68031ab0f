import copy
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mim_plugins.checkpoints import allow_mmengine_checkpoints
from mim_plugins.errors import CheckpointError


@pytest.fixture(autouse=True)
def _allowed():
    allow_mmengine_checkpoints()  # again, because other loaders may have removed the entries


def reread(content, folder):
    torch.save(content, folder / "x.pth")
    return torch.load(folder / "x.pth", weights_only=True)


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

    loaded = torch.load(tmp_path / "x.pth", weights_only=True)

    assert loaded.statistics("mean") == 2.0
    assert HistoryBuffer._statistics_methods == before


def test_log_buffers_have_statistics_in_a_new_process(tmp_path, monkeypatch):
    torch.save(filled(1.0, 3.0), tmp_path / "x.pth")
    monkeypatch.setattr(HistoryBuffer, "_statistics_methods", {})  # as in a new process
    loaded = torch.load(tmp_path / "x.pth", weights_only=True)
    assert loaded.statistics("mean") == 2.0
    assert loaded.statistics("current") == 3.0


def test_other_libraries_entries_stay_allowed_except_ours(tmp_path):
    before = torch.serialization.get_safe_globals()
    try:
        torch.serialization.add_safe_globals([np.dtype, np.ndarray, Made])
        allow_mmengine_checkpoints()
        with pytest.raises(CheckpointError):
            reread(array(dtype("V8")), tmp_path)
        assert Made in torch.serialization.get_safe_globals()
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)

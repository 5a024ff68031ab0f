"""Calls, with any arguments, of everything that checkpoints may contain."""

import argparse
import random

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from pickle_opcodes import CALL, NEW, build, call, load, name, store, stored, write

from mim_plugins.checkpoints import plain_data_only
from mim_plugins.checkpoints.metadata import read_metadata

BUFFER = "mmengine.logging.history_buffer.HistoryBuffer"
RECONSTRUCT = "numpy._core.multiarray._reconstruct"
with plain_data_only():
    ALLOWED = sorted(
        entry[1] for entry in torch.serialization.get_safe_globals() if isinstance(entry, tuple)
    )


def array(*numbers, code="f8"):
    content = np.array(numbers, code).tobytes()
    empty = call(RECONSTRUCT, (name("numpy.ndarray"), (0,), b"b"))
    return build(empty, (1, (len(numbers),), call("numpy.dtype", (code,)), False, content))


POINTER = b"A" * 8
UNUSUAL = [
    None, True, -1, 0, 4, 2**62, 1.5, "", "O", "f8", "V8", "mean", POINTER, (), (0,), (1,), (-1,),
    (2**32, 2**32), [], [1.0], {}, {"a": 1}, {"dtype": "O"}, {"__class__": name("numpy.ndarray")},
    name("numpy.ndarray"), name("numpy.dtype"), name("torch.Tensor"), name(BUFFER),
    call("numpy.dtype", ("f8",)), array(1.0, 2.0), call("torch.Tensor", ([1.0],)),
    call(BUFFER, (), NEW), call("argparse.Namespace", (), NEW),
]  # fmt: skip


def is_harmless(value):
    """Return whether a value is empty, or consists of numbers that the file contains."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biuf" and value.size in (0, 1, 2)
    if type(value).__name__ == "_SavedDtype":
        return value.dtype.kind in "biuf" and value.dtype.shape == ()
    if type(value) is HistoryBuffer:
        return all(part.dtype.kind in "biuf" for part in value.data)
    if isinstance(value, HistoryBuffer):
        return set(vars(value)) <= {"max_length", "_log_history", "_count_history"}
    return value in (b"", "mean") or isinstance(value, argparse.Namespace)


def loads_or_refuses(value):
    try:
        with plain_data_only():
            loaded = load(value)
    except Exception:
        return True
    return is_harmless(loaded)


@pytest.mark.parametrize("operation", [CALL, NEW])
@pytest.mark.parametrize("target", ALLOWED)
def test_calls_with_unusual_arguments_are_harmless(target, operation):
    chance = random.Random(target)
    several = [tuple(chance.choices(UNUSUAL, k=chance.randint(2, 6))) for _ in range(40)]
    memory = [(4, "f8"), (1, "O"), (1, "O", POINTER), ((1,), "O", POINTER, 0, (8,))]
    for arguments in [(), *memory, *((each,) for each in UNUSUAL), *several]:
        made = call(target, arguments, operation)
        assert loads_or_refuses(made), arguments
        for state in chance.choices(UNUSUAL, k=5):
            assert loads_or_refuses(build(made, state)), (arguments, state)
            assert loads_or_refuses(build(made, (None, {"__class__": state}))), arguments


@pytest.mark.filterwarnings("ignore:TypedStorage")
@pytest.mark.parametrize("path", ["argparse.Namespace", "torch.storage.TypedStorage"])
@pytest.mark.parametrize("target", [each for each in ALLOWED if "Namespace" not in each])
def test_no_other_object_becomes_an_allowed_one(path, target):
    forged = build(call(path, (), NEW), ({"dtype": "O"}, {"__class__": name(target)}))
    state = {"_log_history": array(1.0), "_count_history": array(1.0), "max_length": 9}
    with plain_data_only(), pytest.raises((ValueError, TypeError, AttributeError)):
        load(build(forged, state))


def test_the_content_of_an_array_cannot_be_replaced():
    """A tensor that shares it would read freed memory."""
    first = store(array(*range(1000)), 0)
    arguments = (stored(0), name("torch.float64"), "cpu", False)
    shared = call("torch._utils._rebuild_device_tensor_from_numpy", arguments)
    state = (1, (1,), call("numpy.dtype", ("f8",)), False, POINTER)
    with plain_data_only():
        numbers, tensor = load((first, shared))
        assert numbers.tolist() == tensor.tolist() == list(range(1000))
        with pytest.raises(ValueError, match="NumPy array"):
            load((first, shared, build(stored(0), state)))


def test_files_with_other_calls_contain_no_metadata(tmp_path):
    for made in (
        call("argparse.Namespace", (1,)),
        call("builtins.bytes", (9,)),
        name("builtins.x"),
    ):
        write(tmp_path / "x.pth", dict(meta=dict(epoch=1), other=made))
        assert read_metadata(tmp_path / "x.pth") == {}


def test_sizes_that_overflow_are_refused():
    empty = call(RECONSTRUCT, (name("numpy.ndarray"), (0,), b"b"))
    for shape in [(2**32, 2**32), (2**62, 4), (2**61,)]:
        state = (1, shape, call("numpy.dtype", ("f8",)), False, b"")
        with plain_data_only(), pytest.raises(ValueError, match="NumPy array"):
            load(build(empty, state))

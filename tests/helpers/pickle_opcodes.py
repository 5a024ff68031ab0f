"""Pickles written by hand, operation by operation, as torch.load reads them."""

import io
import struct
import zipfile
from typing import NamedTuple

import torch

CALL, NEW = b"R", b"\x81"  # REDUCE and NEWOBJ, through which a pickle calls functions and classes


class Code(NamedTuple):
    """Operations that leave one value on the stack."""

    operations: bytes


def name(path: str) -> Code:
    module, _, last = path.rpartition(".")
    return Code(f"c{module}\n{last}\n".encode())


def call(path: str, arguments: tuple, operation: bytes = CALL) -> Code:
    return Code(name(path).operations + _encode(arguments) + operation)


def build(value: Code, state: object) -> Code:
    return Code(value.operations + _encode(state) + b"b")


def store(value: Code, number: int) -> Code:
    return Code(value.operations + b"q" + bytes([number]))


def stored(number: int) -> Code:
    return Code(b"h" + bytes([number]))


def write(file: object, value: object) -> None:
    """Write a file that contains a value for torch.load."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02" + _encode(value) + b".")
        archive.writestr("x/byteorder", "little")
        archive.writestr("x/data/0", bytes(16))
        archive.writestr("x/version", "3\n")


def load(value: object) -> object:
    """Return what torch.load makes of a file that contains a value."""
    buffer = io.BytesIO()
    write(buffer, value)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)


def _encode(value: object) -> bytes:
    if isinstance(value, Code):
        return value.operations
    if isinstance(value, bytes):
        return call("_codecs.encode", (value.decode("latin1"), "latin1")).operations
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_encode, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(_encode, value)) + b"e"
    assert isinstance(value, dict)
    return b"}(" + b"".join(_encode(part) for pair in value.items() for part in pair) + b"u"

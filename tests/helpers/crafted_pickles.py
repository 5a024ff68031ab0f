"""PyTorch files whose pickle is written by hand."""

import collections
import io
import pickle
import zipfile

import torch


class Storage:
    """Placeholder of the 16 bytes in a crafted file, whose header states another number."""

    def __init__(self, count):
        self.persistent = ("storage", torch.FloatStorage, "0", "cpu", count)


class Call:
    """Object that is unpickled as the result of a function."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def tensor(size, stride, offset=0, count=4, storage=None):
    """Return the pickle of a tensor of any size, independent of the bytes in the file."""
    hooks = collections.OrderedDict()
    storage = storage or Storage(count)
    return Call(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, hooks)


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.persistent if isinstance(value, Storage) else None


def write(path, content):
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", buffer.getvalue())
        archive.writestr("x/byteorder", "little")
        archive.writestr("x/data/0", bytes(16))
        archive.writestr("x/version", "3\n")

import io

import pytest
import torch

from mim_plugins.checkpoints import find_corruption, write_with_digest
from mim_plugins.checkpoints.digest_file import DigestFile

CONTENT = dict(weight=torch.arange(300_000.0), meta=dict(iter=1), empty=torch.empty(0))


def archive(content):
    with io.BytesIO() as file:
        torch.save(content, file)
        return file.getvalue()


def test_written_object_equals_its_bytes(tmp_path):
    write_with_digest(tmp_path / "bytes.pth", archive(CONTENT))
    write_with_digest(tmp_path / "object.pth", CONTENT)
    content = (tmp_path / "object.pth").read_bytes()
    assert content == (tmp_path / "bytes.pth").read_bytes()
    assert find_corruption(io.BytesIO(content)) is None


@pytest.mark.parametrize("size", [1, 2, 3, 10_000])
def test_pieces_of_any_size_give_the_same_file(size):
    content = archive(dict(weight=torch.arange(3.0)))
    whole, pieces = io.BytesIO(), io.BytesIO()
    for file, step in ((whole, len(content)), (pieces, size)):
        sealed = DigestFile(file)
        for start in range(0, len(content), step):
            sealed.write(content[start : start + step])
        sealed.finish()
    assert pieces.getvalue() == whole.getvalue()
    assert find_corruption(pieces) is None


class Full(io.BytesIO):
    def write(self, data):
        if self.tell() + len(data) > 1000:
            raise OSError(28, "No space left on device")
        return super().write(data)


def test_error_of_the_disk_passes_through_pytorchs_writer():
    sealed = DigestFile(Full())
    torch.save(CONTENT, sealed)
    with pytest.raises(OSError, match="No space left"):
        sealed.finish()

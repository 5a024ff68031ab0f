import io
import zipfile

import pytest
import torch

from mim_plugins.checkpoints import find_corruption, has_digest, write_with_digest
from mim_plugins.checkpoints.integrity import find_corrupt_record


def saved(**content):
    with io.BytesIO() as file:
        torch.save(content, file)
        return file.getvalue()


CONTENT = dict(weight=torch.arange(3.0), meta=dict(iter=1))
PLAIN = saved(**CONTENT)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    path = tmp_path_factory.mktemp("x") / "x.pth"
    write_with_digest(path, PLAIN)
    return path.read_bytes()


def corruption(content):
    return find_corruption(io.BytesIO(content))


def flipped(content, bit):
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("mmap", [True, False])
def test_pytorch_reads_a_file_with_a_digest(tmp_path, sealed, mmap):
    (tmp_path / "x.pth").write_bytes(sealed)
    loaded = torch.load(tmp_path / "x.pth", weights_only=True, mmap=mmap)
    assert torch.equal(loaded["weight"], CONTENT["weight"])
    assert has_digest(io.BytesIO(sealed))
    assert not has_digest(io.BytesIO(PLAIN))
    assert corruption(sealed) is corruption(PLAIN) is None


def test_every_flipped_bit_of_a_file_with_a_digest_is_found(sealed):
    bits = range(8 * len(sealed))
    assert len(bits) > 10_000
    assert [bit for bit in bits if corruption(flipped(sealed, bit)) is None] == []


def corrupt_record(content):
    return find_corrupt_record(io.BytesIO(content))


@pytest.mark.parametrize(("find", "step"), [(corruption, 3), (corrupt_record, 5)])
def test_a_flipped_bit_without_a_digest_changes_no_content(find, step):
    """The bit is found, PyTorch refuses the file, or the bit has no effect."""
    found = harmless = 0
    for bit in range(0, 8 * len(PLAIN), step):  # all positions in a byte: 8 and step are coprime
        changed = flipped(PLAIN, bit)
        if find(changed) is not None:
            found += 1
            continue
        try:
            loaded = torch.load(io.BytesIO(changed), weights_only=True)
        except RuntimeError:
            continue
        harmless += 1
        assert torch.equal(loaded["weight"], CONTENT["weight"])
        assert loaded["meta"] == CONTENT["meta"]
    assert found > 100
    assert harmless > 0


@pytest.mark.parametrize(
    ("find", "offset", "bits"),
    [
        (corruption, 8, 0x01),
        (corrupt_record, 16, 0x01),
        *(
            (find, *change)
            for find in (corruption, corrupt_record)
            for change in [(38, 0x10), (10, 0x08), (20, 0x01), (24, 0x04), (42, 0x40)]
        ),
    ],
)
def test_changes_in_the_directory_are_found_without_a_digest(find, offset, bits):
    changed = bytearray(PLAIN)
    changed[PLAIN.rindex(b"archive/data/0") - 46 + offset] ^= bits  # entry of the tensor's record
    assert find(bytes(changed)) is not None


def test_truncated_extended_and_mixed_files_are_found(sealed):
    other = saved(weight=torch.arange(3.0) + 1, meta=dict(iter=1))
    assert len(other) == len(PLAIN)
    for content in (PLAIN, sealed):
        assert not [cut for cut in range(len(content)) if corruption(content[:cut]) is None]
        assert corruption(content + b"\0") is not None
        assert corruption(content + content) is not None
        assert corruption(b"\0" + content) is not None
    assert corruption(other[:800] + sealed[800:]) is not None
    assert corruption(sealed.replace(PLAIN[:-2], other[:-2])) is not None


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\5\6", bytes(5000), b"text" * 50])
def test_a_file_other_than_an_archive_is_written_unchanged(tmp_path, content):
    assert corruption(content) is not None
    write_with_digest(tmp_path / "x", content)
    assert (tmp_path / "x").read_bytes() == content


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_of_other_programs_have_no_corrupt_record(compression):
    with zipfile.ZipFile(io.BytesIO(PLAIN)) as source, io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", compression) as target:
            for name in source.namelist():
                target.writestr(name, source.read(name))
            target.comment = b"packed again"
        assert corruption(file.getvalue()) is not None
        assert find_corrupt_record(file) is None
    assert find_corrupt_record(io.BytesIO(b"no archive")) is None

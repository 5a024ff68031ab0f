import pytest

from mim_plugins.archives.handles import forget_handles, handle_of, read_range


def test_handles_are_opened_once_and_few_remain():
    forget_handles()
    opened = []

    def opener(path):
        opened.append(path)
        return object()

    first = handle_of(opener, "0")
    assert handle_of(opener, "0") is first
    for number in range(100):
        handle_of(opener, str(number))
    assert handle_of(opener, "0") is not first
    assert len(opened) == 101


def test_ranges_end_with_the_file(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    assert read_range(str(tmp_path / "a"), 2, 3) == b"234"
    assert read_range(str(tmp_path / "a"), 10, 0) == b""
    with pytest.raises(OSError, match="ends within a member"):
        read_range(str(tmp_path / "a"), 8, 3)

import numpy as np
import pytest

from mim_plugins.archives.member_names import MemberNames, RowNumbers
from mim_plugins.errors import ArchiveError


def test_names_are_sorted_and_found():
    given = ["b/2", "a", "b/1", "é", "\udcff"]
    names = MemberNames("x.tar", given)
    assert list(names) == names[:] == [given[index] for index in names.order]
    assert [names.find(name) for name in names] == list(range(5))
    assert names[-1] == names[4]
    for missing in ("", "b", "z", "b/3"):
        with pytest.raises(FileNotFoundError):
            names.find(missing)


def test_a_million_names_take_little_memory():
    names = MemberNames("x.tar", [f"n{index:07d}.JPEG" for index in range(20_000)])
    held = vars(names).values()
    size = sum(each.nbytes if isinstance(each, np.ndarray) else len(each) for each in held)
    assert size / len(names) < 32


def test_repeated_names_are_an_error():
    with pytest.raises(ArchiveError, match="contains 'a' twice"):
        MemberNames("x.tar", ["a", "b", "a"])


def test_rows_have_their_numbers_as_names():
    rows = RowNumbers(3)
    assert list(rows) == rows[:] == ["0", "1", "2"]
    assert rows.find("2") == 2
    for missing in ("3", "-1", "x", "²"):
        with pytest.raises(FileNotFoundError):
            rows.find(missing)

import pytest

from mim_plugins.archives import ImageArchive
from mim_plugins.archives.member_names import RowNumbers
from mim_plugins.errors import ArchiveError, DataNotFoundError


class LibraryError(Exception):
    """Error of a library, of no common type."""


class FakeArchive(ImageArchive):
    format_name = "fake archive"

    def __init__(self, at_index=None, at_member=None):
        self.errors = at_index, at_member
        super().__init__("a.fake")

    def read_index(self):
        if self.errors[0]:
            raise self.errors[0]
        self.names = RowNumbers(1)

    def read_member(self, index):
        raise self.errors[1]

    def find(self, name):
        return self.names.find(name)


@pytest.mark.parametrize(
    "error", [LibraryError("broken\npage"), OSError("broken page"), MemoryError("broken page")]
)
def test_errors_of_libraries_while_opening_become_one_type(error):
    with pytest.raises(ArchiveError, match=r"'a.fake' is no complete fake archive \(broken page\)"):
        FakeArchive(at_index=error)
    with pytest.raises(DataNotFoundError, match="gone"):
        FakeArchive(at_index=DataNotFoundError("gone"))


@pytest.mark.parametrize("error", [LibraryError("broken\npage"), MemoryError("broken page")])
def test_errors_of_libraries_while_reading_are_those_of_files(error):
    with pytest.raises(OSError, match=r"^broken page$"):
        FakeArchive(at_member=error).read(0)
    with pytest.raises(OSError, match=r"^LibraryError$"):
        FakeArchive(at_member=LibraryError()).read(0)
    given = ValueError("wrong checksum")
    with pytest.raises(ValueError, match="wrong checksum") as kept:
        FakeArchive(at_member=given).read(0)
    assert kept.value is given

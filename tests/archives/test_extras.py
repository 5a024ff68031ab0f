import json

import pytest

from mim_plugins.archives.extras import import_extra
from mim_plugins.errors import ArchiveError


def test_a_missing_package_is_named_with_its_extra(tmp_path):
    message = r"a.lmdb' needs the package absent \(No module named 'absent'\): pip install '.*lmdb"
    with pytest.raises(ArchiveError, match=message):
        import_extra("absent.part", "lmdb", str(tmp_path / "a.lmdb"))


def test_an_installed_module_is_returned():
    assert import_extra("json", "lmdb", "a.lmdb") is json

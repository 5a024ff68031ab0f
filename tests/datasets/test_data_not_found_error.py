import pytest

from mim_plugins.datasets import DataNotFoundError


def test_is_a_file_not_found_error_that_keeps_its_message():
    with pytest.raises(FileNotFoundError, match="there is no folder 'x'") as caught:
        raise DataNotFoundError("there is no folder 'x'")

    assert str(caught.value) == "there is no folder 'x'"

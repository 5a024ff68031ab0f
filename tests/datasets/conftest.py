import pytest
from image_folders import touch


@pytest.fixture
def root(tmp_path):
    """Two folders, one nested, of three images."""
    touch(tmp_path / "root", "a/0.jpg", "a/deep/1.PNG", "b/2.jpeg")
    return tmp_path / "root"

import pytest
from image_folders import write_colors
from mmengine.registry import DefaultScope

from mim_plugins.engine.hooks import timed_checkpoint_hook


@pytest.fixture
def mmpretrain_scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


@pytest.fixture
def root(tmp_path):
    """Return class folders of images of 32 x 32 pixels whose class is their color."""
    return write_colors(tmp_path / "images", side=32)


@pytest.fixture
def clock_read_early(monkeypatch):
    """Let TimedCheckpointHook read its clock from the first iteration on."""
    monkeypatch.setattr(timed_checkpoint_hook, "_FIRST_CHECK", 1)

from pathlib import Path, PurePosixPath

import pytest
from mmengine.config import Config

from mim_plugins.config import use_text_paths


@pytest.mark.parametrize(
    "value",
    [
        Path("a/b"),
        PurePosixPath("a/b"),
        [Path("a/b")],
        (1, Path("a/b")),
        dict(x=(dict(y=Path("a")),)),
    ],
)
def test_paths_become_texts_at_any_depth(value):
    cfg = use_text_paths(Config(dict(work_dir=value, model=dict(type="A", other=[value]))))
    assert "Path" not in cfg.pretty_text
    assert cfg.work_dir == cfg.model.other[0]
    assert Config.fromstring(cfg.pretty_text, ".py").work_dir == cfg.work_dir

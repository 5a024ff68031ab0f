import sys

import numpy as np
import pytest
from image_folders import write_images
from mmengine.config import Config
from tiny_run import run, tiny_config

from mim_plugins.visualization import TensorboardVisBackend

MODULE = "mim_plugins.visualization.tensorboard_vis_backend"


def test_curves_have_iterations_as_steps(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_images(tmp_path / "images", 12)
    cfg = tiny_config(tmp_path, "run")
    cfg.visualizer.vis_backends = [dict(type="mim_plugins.TensorboardVisBackend")]
    run(cfg)
    (folder,) = (tmp_path / "run").glob("*/vis_data")
    events = EventAccumulator(str(folder)).Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 7))


def test_missing_package_is_one_log_line_and_nothing_else(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(f"{MODULE}.find_spec", lambda name: None)
    monkeypatch.setattr(f"{MODULE}.print_log", lambda text, logger: lines.append(text))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    backend = TensorboardVisBackend(str(tmp_path / "vis_data"))
    backend.add_config(Config())
    backend.add_scalar("loss", 1.0, 1)
    backend.add_scalars(dict(loss=1.0), 1, file_path="x.json")
    backend.add_image("picture", np.zeros((2, 2, 3), np.uint8), 1)
    backend.close()
    assert lines == ["no TensorBoard curves: pip install tensorboard"]
    assert not list(tmp_path.iterdir())

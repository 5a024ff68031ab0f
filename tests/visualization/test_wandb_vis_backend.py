"""The backend for Weights & Biases, with a module that records the calls."""

import sys

import numpy as np
import pytest
from image_folders import write_images
from mmengine.config import Config
from tiny_run import run, tiny_config

from mim_plugins.errors import ConfigError
from mim_plugins.visualization import WandbVisBackend

MODULE = """
from types import SimpleNamespace

inits, logs, metrics, ends, configs = [], [], [], [], []

class config:
    def update(content, allow_val_change):
        assert allow_val_change
        configs.append(content)

def init(**settings):
    global run
    inits.append(settings)
    run = SimpleNamespace(id=settings.get("id") or f"id{len(inits)}")

def define_metric(name, step_metric=None):
    metrics.append((name, step_metric))

def log(content, commit):
    logs.append(content)

def finish():
    ends.append(run.id)

Image = "image of {}".format
"""
BACKEND = dict(type="mim_plugins.WandbVisBackend", init_kwargs=dict(project="mixmae"))


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/wandb.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    import wandb

    yield wandb
    sys.modules.pop("wandb")


def start(folder, number, resume=False):
    backend = WandbVisBackend(str(folder / f"start{number}/vis_data"))
    backend.add_config(Config(dict(resume=resume)))
    return backend


def test_resumed_training_continues_the_run_at_its_iteration(wandb, tmp_path):
    write_images(tmp_path / "images", 12)
    cfg = tiny_config(tmp_path, "run")
    cfg.visualizer.vis_backends = [BACKEND]
    run(cfg, stop_after=4)
    run(cfg, resume=True)

    assert [settings.get("id") for settings in wandb.inits] == [None, "id1"]
    assert all(settings["project"] == "mixmae" for settings in wandb.inits)
    assert all(settings["resume"] == "allow" for settings in wandb.inits)
    assert (tmp_path / "run/wandb_run_id.txt").read_text() == "id1\n"
    assert [each["iteration"] for each in wandb.logs] == [1, 2, 3, 4, 5, 6]
    assert all("loss" in each for each in wandb.logs)
    assert wandb.metrics == [("iteration", None), ("*", "iteration")] * 2
    assert [each["resume"] for each in wandb.configs] == [False, True]


def test_pictures_and_evaluations_have_their_iteration(wandb, tmp_path):
    backend = start(tmp_path, 1)
    backend.add_image("picture", np.zeros((2, 2, 3)), 5)
    backend.add_scalars(dict(knn_top1=50.0), step=6, file_path="x.json")
    backend.add_scalar("lr", 0.1, 7)
    backend.close()
    picture, *others = wandb.logs
    assert picture["iteration"] == 5
    assert picture["picture"].startswith("image of")
    assert others == [dict(knn_top1=50.0, iteration=6), dict(lr=0.1, iteration=7)]
    assert wandb.ends == ["id1"]


def test_new_run_in_an_old_folder_has_a_new_id(wandb, tmp_path):
    for number, resume in enumerate((True, False, True)):
        start(tmp_path, number, resume)
    assert [settings.get("id") for settings in wandb.inits] == [None, None, "id2"]


def test_missing_package_is_an_error_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("mim_plugins.visualization.wandb_vis_backend.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install wandb"):
        WandbVisBackend(str(tmp_path / "a/vis_data"))

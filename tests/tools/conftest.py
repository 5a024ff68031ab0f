"""Scripts of the CIFAR-10 experiment as modules."""

import importlib
from pathlib import Path

import pytest
from image_folders import write_images
from train_runs import BACKBONE, write_config

FOLDER = Path(__file__).parents[2] / "tools/dev/experiments/cifar10"


@pytest.fixture
def cifar10(monkeypatch):
    """Return a function that imports a script of the experiment by name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def pretrain_config(tmp_path):
    return write_config(
        tmp_path / "tiny_pretrain.py",
        "mixmae/swin_b_600e.py",
        dict(
            model=dict(
                backbone=BACKBONE,
                decoder=dict(embed_dims=16, depth=1, num_heads=2),
            ),
            train_dataloader=dict(
                batch_size=4, num_workers=0, persistent_workers=False, pin_memory=False
            ),
            train_cfg=dict(max_epochs=2),
            default_hooks=dict(logger=dict(interval=1), checkpoint=dict(interval=1)),
        ),
        "train_pipeline = _base_.train_pipeline\n"
        "train_pipeline[0]['scale'] = 64\n"
        "train_dataloader['dataset'] = dict(pipeline=train_pipeline)\n",
    )


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "images", 8, (70, 90))


@pytest.fixture
def arguments(pretrain_config, images):
    return pretrain_config, "--data-root", images, "--work-dir"

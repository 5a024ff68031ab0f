"""Tiny backbones of all kinds; a file that overrides ``config`` tests some of them."""

import copy

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from pretrained_encoders import HIERARCHICAL, TRAINED_BACKBONES, backbone_cfg
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES, mixmae_config, mrmae_config
from torch.utils.data import Dataset

from mim_plugins.registry import MODELS

BACKBONES = TINY_BACKBONES | PLAIN_BACKBONES


@pytest.fixture(params=BACKBONES)
def config(request):
    return copy.deepcopy(BACKBONES[request.param])


@pytest.fixture
def build(config):
    """Return a function that builds the backbone with changed arguments, for evaluation."""
    return lambda **changes: MODELS.build(config | changes).eval()


class _Noise(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8))


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Return checkpoints of MMEngine's runner, with optimizer and log buffers, by backbone."""
    files = {}
    for name in TRAINED_BACKBONES:
        folder = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope("mmengine"):
            Runner(
                model=(mixmae_config if name in HIERARCHICAL else mrmae_config)(backbone_cfg(name)),
                work_dir=str(folder),
                experiment_name=f"pretrained_loading_{name}",
                train_dataloader=dict(
                    dataset=_Noise(),
                    batch_size=2,
                    sampler=dict(type="DefaultSampler", shuffle=False),
                    collate_fn=dict(type="default_collate"),
                ),
                train_cfg=dict(by_epoch=True, max_epochs=1),
                optim_wrapper=dict(optimizer=dict(type="AdamW", lr=1e-2)),
            ).train()
        files[name] = str(folder / "epoch_1.pth")
    return files


@pytest.fixture
def log(monkeypatch):
    """Return the lines that loading a checkpoint logs."""
    lines = []
    monkeypatch.setattr(
        "mim_plugins.checkpoints.pretrained.print_log", lambda text, logger: lines.append(text)
    )
    return lines

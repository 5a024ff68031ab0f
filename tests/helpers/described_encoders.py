"""Checkpoints of small models as MMEngine writes them, and files with changed metadata."""

import json

import torch
from mmengine.config import Config
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES, mixmae_config, mrmae_config

from mim_plugins import get_model
from mim_plugins.apis import Encoder, describe_config, extract_features
from mim_plugins.apis.export import export_encoder

ALGORITHMS = {
    **{name: (mixmae_config, backbone) for name, backbone in TINY_BACKBONES.items()},
    **{name: (mrmae_config, backbone) for name, backbone in PLAIN_BACKBONES.items()},
}
"""Pre-training configs by name: one per kind of backbone."""


def pretraining(name, **backbone):
    """Return the config of a run."""
    build, given = ALGORITHMS[name]
    return Config(dict(default_scope="mim_plugins", model=build(given | backbone)))


def trained(cfg):
    """Return a model with random weights, also in biases and norms."""
    return randomized(get_model(cfg))


@torch.no_grad()
def randomized(model):
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def encoder_of(name, **backbone):
    """Return an encoder with random weights."""
    encoder = Encoder(describe_config(pretraining(name, **backbone).to_dict())).eval()
    return randomized(encoder)


def save_checkpoint(model, cfg, path):
    content = dict(meta=dict(cfg=cfg.pretty_text), state_dict=model.state_dict())
    torch.save(content, path)
    return path


def read_metadata(path):
    with safe_open(path, "pt") as file:
        return file.metadata()


def change(path, edit=None, tensors=None, **metadata):
    """Rewrite a file with an edited description, other tensors or other metadata."""
    about = read_metadata(path)
    if edit is not None:
        content = json.loads(about["mim_plugins"])
        about["mim_plugins"] = json.dumps(edit(content) or content)
    save_file(load_file(path) if tensors is None else tensors, path, about | metadata)
    return path


def exported(cfg, folder, **options):
    model = trained(cfg)
    source = save_checkpoint(model, cfg, folder / "epoch_3.pth")
    export_encoder(source, folder / "encoder.safetensors", **options)
    return model, folder / "encoder.safetensors"


def assert_same_features(model, encoder, images):
    expected, found = (extract_features(m, images) for m in (model, encoder))
    assert torch.equal(found.pooled, expected.pooled)
    for ours, theirs in zip(found.maps, expected.maps, strict=True):
        assert torch.equal(ours, theirs)

"""Tiny backbones with random weights, and their checkpoints."""

import torch

from mim_plugins.registry import MODELS

SWIN = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(2, 2, 2), num_heads=(1, 2, 4)),
    img_size=64,
    window_size=4,
    shift_windows=True,
)
VIT = dict(
    type="mim_plugins.MaskedViT", arch=dict(depth=2, embed_dims=16, num_heads=2), img_size=64
)
CONFIGS = dict(
    swin=SWIN,
    pvt=dict(
        type="mim_plugins.MaskedPVT",
        arch=dict(
            embed_dims=(8, 16, 32), depths=(1, 2, 1), num_heads=(1, 2, 4), mlp_ratios=(2, 2, 2)
        ),
        img_size=64,
    ),
    vit=VIT,
    vit_without_class=VIT | dict(with_cls_token=False),
    vit_pooled=VIT | dict(out_type="avg_featmap", learn_pos_embed=True),
    conv_vit=dict(
        type="mim_plugins.MaskedConvViT",
        arch=dict(depths=(1, 1, 2), embed_dims=(8, 12, 16), mlp_ratios=(2, 2, 2), num_heads=2),
        img_size=64,
    ),
)


def random_backbone(cfg):
    """Return a backbone in evaluation mode with random tensors, each with a -0.0."""
    backbone = MODELS.build(cfg)
    with torch.no_grad():
        for name, tensor in backbone.state_dict().items():
            if not name.endswith("pos_embed"):
                tensor.normal_(std=0.3)
                tensor.flatten()[0] = -0.0
    return backbone.eval()


def save_training(path, backbone):
    content = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    content["decoder.mask_token"] = torch.randn(1, 1, 8)
    torch.save(dict(state_dict=content, optimizer=dict(state={})), path)
    return path


def bits(tensor):
    return tensor.contiguous().numpy().tobytes()


def assert_same_bits(loaded, saved):
    ours, theirs = loaded.state_dict(), saved.state_dict()
    assert set(ours) == set(theirs)
    for name, tensor in ours.items():
        assert bits(tensor) == bits(theirs[name]), name

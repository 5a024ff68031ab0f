"""Training runs as in the authors' scripts, written as files of reference numbers.

The models are ours, under the authors' names. Parameter groups, schedule, optimizer and losses are
written here a second time, because recipes and their constructor need an independent comparison.
"""

import json
import math
import re

import numpy as np
import torch
from torch import nn

from mim_plugins.layers import patchify
from mim_plugins.masking import TokenMask, mix, unmix
from mim_plugins.registry import MODELS

MIXMIM = dict(
    img_size=64, embed_dim=8, depths=[1, 2, 1], num_heads=[1, 2, 2], window_size=[8, 4, 4]
)
MCMAE = dict(embed_dim=[8, 12, 16], depth=[1, 2, 3], num_heads=2, img_size=48)
MODELS_OF = dict(
    mixmim_pretrain=MIXMIM | dict(decoder_dim=16, decoder_depth=1, decoder_num_heads=2),
    mixmim_finetune=MIXMIM,
    mcmae_pretrain=MCMAE | dict(decoder_embed_dim=16, decoder_depth=2, decoder_num_heads=2),
    mcmae_finetune=MCMAE,
)
MEAN, STD = [100.0, 110.0, 120.0], [50.0, 60.0, 70.0]
CLASSES = 5
_RENAMED = dict(
    mixmim=[
        (r"backbone\.pos_embed", "absolute_pos_embed"),
        (r"backbone\.stages\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample"),
        (r"backbone\.stages", "layers"),
    ],
    mcmae=[(r"backbone\.stage([12])\.", r"blocks\1."), (r"backbone\.blocks", "blocks3")],
)
_COMMON = [(r"decoder\.mask_token", "mask_token"), (r"decoder\.", "decoder_"), (r"backbone\.", "")]


class Classifier(nn.Module):
    """Encoder with pooled features and a linear layer."""

    def __init__(self, backbone, width):
        super().__init__()
        self.backbone = MODELS.build(backbone | dict(out_type="avg_featmap"))
        self.head = nn.Linear(width, CLASSES)
        self.head.weight.data.mul_(0.1)

    def forward(self, images):
        return self.head(self.backbone(images)[0])


def make_trajectory(method, batch=3, **changes):
    """Return the content of a file; ``changes`` replace entries of its config."""
    family, phase = method.split("_")
    config = (
        dict(
            method=method,
            model=MODELS_OF[method],
            steps=7,
            iterations_per_epoch=3,
            lr=2e-3,
            min_lr=1e-5,
            warmup_epochs=1,
            epochs=3,
            weight_decay=0.3,
            betas=[0.8, 0.97],
            layer_decay=None if phase == "pretrain" else 0.8,
            mean=MEAN,
            std=STD,
        )
        | changes
    )
    generator = torch.Generator().manual_seed(1)
    side, steps = config["model"]["img_size"], config["steps"]
    images = torch.randint(0, 256, (5, 3, side, side), dtype=torch.uint8, generator=generator)
    order = torch.stack([torch.randperm(5, generator=generator)[:batch] for _ in range(steps)])
    arrays = _masks_or_targets(config, steps, batch, generator)
    model = _build(config)
    names = {name: _their_name(family, name) for name in _tensors(model)}
    content = dict(config=json.dumps(config), images=images, order=order) | arrays
    content |= {
        f"param/{names[name]}": tensor.detach().flatten(1, 2).clone()
        if name.endswith("pos_embed")
        else tensor.detach().clone()
        for name, tensor in _tensors(model).items()
    }
    content |= _train(model, names, config, images, order, arrays)
    return {key: np.array(value) for key, value in content.items()}


def _masks_or_targets(config, steps, batch, generator):
    method, sizes = config["method"], config["model"]
    if method.endswith("finetune"):
        logits = torch.randn(steps, batch, CLASSES, generator=generator)
        return dict(targets=(0.9 * logits.softmax(-1) + 0.1 / CLASSES))
    if method.startswith("mixmim"):
        stages = len(sizes["depths"])
        cells = (sizes["img_size"] // (4 * 2 ** (stages - 1))) ** 2
        hidden = torch.rand(steps, cells, generator=generator).argsort(1) < cells // 2
        return {f"mask_s{stages}": hidden.to(torch.uint8).reshape(steps, 1, cells, 1)}
    tokens = (sizes["img_size"] // 16) ** 2
    order = torch.rand(steps, batch, tokens, generator=generator).argsort(2)
    return dict(ids_keep=order[..., : tokens // 4].short(), ids_restore=order.argsort(2).short())


def _build(config):
    method, sizes = config["method"], config["model"]
    if method.startswith("mixmim"):
        arch = dict(
            embed_dims=sizes["embed_dim"], depths=sizes["depths"], num_heads=sizes["num_heads"]
        )
        backbone = dict(type="MaskedSwin", arch=arch, window_size=sizes["window_size"])
        width, stride = (
            sizes["embed_dim"] * 2 ** (len(sizes["depths"]) - 1),
            4 * 2 ** (len(sizes["depths"]) - 1),
        )
        decoder = dict(type="MixMAEDecoder", embed_dims=sizes.get("decoder_dim"), norm_eps=1e-5)
    else:
        arch = dict(
            embed_dims=sizes["embed_dim"],
            depths=sizes["depth"],
            num_heads=sizes["num_heads"],
            mlp_ratios=(4, 4, 4),
        )
        backbone = dict(type="MaskedConvViT", arch=arch)
        if method.endswith("finetune"):
            backbone |= dict(fuse_stages=False, learn_pos_embed=True)
        width, stride = sizes["embed_dim"][-1], 16
        decoder = dict(type="MAEDecoder", embed_dims=sizes.get("decoder_embed_dim"))
    backbone["img_size"] = sizes["img_size"]
    if method.endswith("finetune"):
        return Classifier(backbone, width)
    grid = (sizes["img_size"] // stride,) * 2
    decoder |= dict(depth=sizes["decoder_depth"], num_heads=sizes["decoder_num_heads"])
    decoder |= dict(in_channels=width, grid=grid, patch_size=stride)
    return nn.ModuleDict(dict(backbone=MODELS.build(backbone), decoder=MODELS.build(decoder)))


def _tensors(model):
    return dict(model.named_parameters()) | dict(model.named_buffers())


def _their_name(family, name):
    for pattern, replacement in [*_RENAMED[family], *_COMMON]:
        name = re.sub(f"^{pattern}", replacement, name)
    return name


def _layer(name, sizes):
    """Return the authors' layer of a parameter, and their number of layers."""
    parts = name.split(".")
    if "depths" in sizes:
        total, index = sum(sizes["depths"]), int(parts[1]) if parts[0] == "layers" else 0
        if parts[0] == "patch_embed":
            return 0, total + 1
        if parts[0] != "layers":  # norm and head
            return total, total + 1
        if parts[2] == "downsample":
            return sum(sizes["depths"][: index + 1]) + 1, total + 1
        return sum(sizes["depths"][:index]) + int(parts[3]) + 1, total + 1
    last = sizes["depth"][-1] + 1
    if parts[0] == "blocks3":
        return int(parts[1]) + 1, last
    return (last if parts[0] in ("head", "fc_norm", "norm") else 0), last


def _rate(config, step):
    epoch = step / config["iterations_per_epoch"]
    warmup, lr, lowest = config["warmup_epochs"], config["lr"], config["min_lr"]
    if epoch < warmup:
        return lr * epoch / warmup
    progress = (epoch - warmup) / (config["epochs"] - warmup)
    return lowest + (lr - lowest) * 0.5 * (1 + math.cos(math.pi * progress))


def _loss(model, config, images, arrays, step):
    if "targets" in arrays:
        logits = model(images)
        return -(arrays["targets"][step] * logits.log_softmax(1)).sum(1).mean()
    backbone, decoder = model["backbone"], model["decoder"]
    stride = backbone.encoder_stride
    target = patchify(images, stride)
    target = (target - target.mean(-1, True)) / (target.var(-1, keepdim=True) + 1e-6).sqrt()
    if "ids_keep" in arrays:
        keep, restore = arrays["ids_keep"][step].long(), arrays["ids_restore"][step].long()
        hidden = restore >= keep.shape[1]
        encoded = backbone.forward_masked(images, TokenMask(keep, restore, hidden))
        grid = (images.shape[2] // stride, images.shape[3] // stride)
        prediction = decoder(encoded.tokens, encoded.prefix_tokens, restore, grid)
        return ((prediction - target) ** 2).mean(-1)[hidden].mean()
    stages = len(config["model"]["depths"])
    side = images.shape[-1] // stride
    mask = arrays[f"mask_s{stages}"][step].bool().reshape(1, side, side)
    partner = torch.arange(len(images)).flip(0)
    tokens = backbone.forward_mixed(mix(images, mask, partner), mask)
    prediction = unmix(*decoder(tokens, mask), mask, partner)
    return ((prediction - target) ** 2).mean()


def _train(model, names, config, images, order, arrays):
    """Take the steps; return the file's entries of each step and of each parameter."""
    finetune, groups, start = config["method"].endswith("finetune"), [], {}
    for name, parameter in model.named_parameters():
        theirs = names[name]
        listed = finetune and theirs in ("pos_embed", "cls_token")
        spared = parameter.ndim <= 1 or theirs.endswith(".bias") or listed
        scale = 1.0
        if config["layer_decay"] is not None:
            layer, count = _layer(theirs, config["model"])
            scale = config["layer_decay"] ** (count - layer)
        decay = 0.0 if spared else config["weight_decay"]
        groups.append(dict(params=[parameter], weight_decay=decay, scale=scale, name=theirs))
        start[theirs] = parameter.detach().clone()
    optimizer = torch.optim.AdamW(groups, lr=config["lr"], betas=tuple(config["betas"]))
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    rates, losses = [], []
    for step in range(config["steps"]):
        rates.append(_rate(config, step))
        for group in optimizer.param_groups:
            group["lr"] = rates[-1] * group["scale"]
        batch = (images[order[step]].float() - mean) / std
        loss = _loss(model.train(), config, batch, arrays, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    content = dict(lr=np.float32(rates), loss=np.float32(losses))
    for group in groups:
        name, end = group["name"], group["params"][0].detach()
        content[f"lr_scale/{name}"] = np.float32(group["scale"])
        content[f"weight_decay/{name}"] = np.float32(group["weight_decay"])
        content[f"final_norm/{name}"] = end.norm()
        content[f"change_norm/{name}"] = (end - start[name]).norm()
    return content

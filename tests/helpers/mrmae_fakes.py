"""Fake teachers, images and masks for tests of MR-MAE."""

import torch
import torch.nn.functional as F
from torch import nn

from mim_plugins.masking import TokenMask
from mim_plugins.registry import MODELS
from mim_plugins.targets import TargetGenerator, TeacherOutput
from mim_plugins.targets.tower import Tower

STRIDE, GRID, TOKENS, VISIBLE = 16, 6, 36, 9
TOLERANCE = 1e-4  # of losses against slow references
BACKBONES = dict(
    vit=dict(
        type="mim_plugins.MaskedViT",
        arch=dict(depth=2, embed_dims=32, num_heads=2),
        img_size=STRIDE * GRID,
    ),
    conv_vit=dict(
        type="mim_plugins.MaskedConvViT",
        arch=dict(depths=(1, 1, 2), embed_dims=(8, 16, 32), mlp_ratios=(2, 2, 2), num_heads=2),
        img_size=STRIDE * GRID,
    ),
)


class Colors(nn.Module):
    """Teacher with fixed mixtures of mean colors as features and attention to bright tokens."""

    def __init__(self, out_channels=5, seed=0, has_cls_attention=True):
        super().__init__()
        self.out_channels = out_channels
        self.has_cls_attention = has_cls_attention
        generator = torch.Generator().manual_seed(seed)
        mixture = 3 * torch.randn(3, out_channels, generator=generator)
        self.register_buffer("mixture", mixture, persistent=False)
        self.attention_requests = []

    def forward(self, pixels, grid, with_attention=False):
        self.attention_requests.append(with_attention)
        colors = F.adaptive_avg_pool2d(pixels, grid).flatten(2).transpose(1, 2)
        attention = (4 * colors.sum(dim=-1)).softmax(dim=1) if with_attention else None
        return TeacherOutput(colors @ self.mixture, attention)


class LearnableTower(Tower):
    """Tower with parameters, whose location can be checked."""

    patch_size, out_channels, has_cls_attention = STRIDE, 5, True

    def __init__(self):
        super().__init__()
        self.grid = (GRID, GRID)
        self.proj = nn.Conv2d(3, self.out_channels, self.patch_size, self.patch_size)
        self.drop = nn.Dropout(0.5)

    def forward(self, images, with_attention):
        features = self.drop(self.proj(images)).flatten(2).transpose(1, 2)
        return features, features.sum(dim=-1).softmax(dim=1) if with_attention else None

    def resize(self, grid):
        self.grid = grid


class HiddenTarget(TargetGenerator):
    """Real target generator around the tower, with different normalization constants."""

    def __init__(self):
        super().__init__(LearnableTower(), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


MODELS.register_module(name="ColorsOfMRMAETest", module=Colors, force=True)
MODELS.register_module(name="HiddenTargetOfMRMAETest", module=HiddenTarget, force=True)


def colors_target(**arguments):
    return dict(type="mim_plugins.ColorsOfMRMAETest", **arguments)


HIDDEN_TARGET = dict(type="mim_plugins.HiddenTargetOfMRMAETest")


def random_pixels(batch_size=3, height=GRID, width=GRID):
    """Return images as loaded from files: BGR bytes, a random color per cell, and noise."""
    colors = torch.randint(20, 236, (batch_size, 3, height, width))
    cells = colors.repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3)
    return (cells + torch.randint(-20, 20, cells.shape)).to(torch.uint8)


def prepared(model, pixels):
    return model.data_preprocessor(dict(inputs=list(pixels)), training=True)["inputs"]


def random_mask(images=3, tokens=TOKENS, visible=VISIBLE):
    order = torch.stack([torch.randperm(tokens) for _ in range(images)])
    ids_restore = order.argsort(dim=1)
    return TokenMask(order[:, :visible], ids_restore, ids_restore >= visible)


def fix_mask(model, token_mask):
    model.sample_mask = lambda *_: token_mask


def sampled_masks(model):
    """Return a list to which the model appends the masks that it samples."""
    drawn, draw = [], model.sample_mask
    model.sample_mask = lambda *arguments: drawn.append(draw(*arguments)) or drawn[-1]
    return drawn

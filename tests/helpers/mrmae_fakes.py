"""Fake teachers, images and masks for tests of pre-training."""

import torch
import torch.nn.functional as F
from tiny_models import PLAIN_BACKBONES
from torch import nn

from mim_plugins.masking import TokenMask
from mim_plugins.registry import MODELS
from mim_plugins.targets import TargetGenerator, TeacherOutput
from mim_plugins.targets.tower import Tower

STRIDE, GRID, TOKENS, VISIBLE = 16, 6, 36, 9
TOLERANCE = 1e-4  # of losses against slow references
BACKBONES = {name: PLAIN_BACKBONES[name] for name in ("vit", "conv_vit")}


class Colors(nn.Module):
    """Teacher with fixed mixtures of mean colors as features and attention to bright tokens."""

    def __init__(self, out_channels=5, seed=0, has_cls_attention=True):
        super().__init__()
        self.out_channels = out_channels
        self.has_cls_attention = has_cls_attention
        generator = torch.Generator().manual_seed(seed)
        mixture = 3 * torch.randn(3, out_channels, generator=generator)
        self.register_buffer("mixture", mixture, persistent=False)
        self.calls = []

    def forward(self, pixels, grid, with_attention=False):
        self.calls.append((grid, with_attention))
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


def colors_mimic(out_channels=5, seed=0, has_cls_attention=True, **settings):
    """Config of a mimic of :class:`Colors`."""
    teacher = colors_target(
        out_channels=out_channels, seed=seed, has_cls_attention=has_cls_attention
    )
    return dict(target_generator=teacher, **settings)


HIDDEN_TARGET = dict(type="mim_plugins.HiddenTargetOfMRMAETest")


def enlarge(cells):
    """Repeat each cell (..., h, w) as STRIDE x STRIDE pixels (..., H, W)."""
    return cells.repeat_interleave(STRIDE, -2).repeat_interleave(STRIDE, -1)


def random_pixels(batch_size=3, height=GRID, width=GRID):
    """Return images as loaded from files: BGR bytes, a random color per cell, and noise."""
    cells = enlarge(torch.randint(20, 236, (batch_size, 3, height, width)))
    return (cells + torch.randint(-20, 20, cells.shape)).to(torch.uint8)


def prepared(model, pixels):
    return model.data_preprocessor(dict(inputs=list(pixels)), training=True)["inputs"]


def visible_mask(order, visible):
    """Return a mask with the first ``visible`` tokens of ``order`` (B, L) visible, in order."""
    ids_restore = order.argsort(dim=1)
    return TokenMask(order[:, :visible], ids_restore, ids_restore >= visible)


def random_mask(images=3, tokens=TOKENS, visible=VISIBLE):
    return visible_mask(torch.stack([torch.randperm(tokens) for _ in range(images)]), visible)


def fix_mask(model, token_mask):
    model.sample_mask = lambda *_: token_mask


def sampled_masks(model):
    """Return a list to which the model appends the masks that it samples."""
    drawn, draw = [], model.sample_mask
    model.sample_mask = lambda *arguments: drawn.append(draw(*arguments)) or drawn[-1]
    return drawn


def assert_trained(module):
    """Check that every parameter has a finite gradient that is not zero."""
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name

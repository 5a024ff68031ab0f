"""Models that train_step.py compares, with equal weights where both have them.

A contestant is a model and the function that computes its loss from normalized images.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mim_plugins.algorithms import MRMAE
from mim_plugins.algorithms.mimic import denormalize_images
from mim_plugins.backbones import MaskedSwin, MaskedViT
from mim_plugins.checkpoints import convert
from mim_plugins.registry import MODELS
from mim_plugins.targets import TeacherOutput

DECODER = dict(embed_dims=512, depth=8, num_heads=16)
PIXELS = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
PEER = "mmpretrain"
# the first is the method itself, the others are for comparison
CONTESTANTS = dict(
    mixmae=("MixMAE", PEER),
    mrmae=("MR-MAE", "MAE", "naive MR-MAE", PEER),
)
Contestant = tuple[nn.Module, Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Setup:
    """Settings shared by all contestants of a run; see the help of the command line."""

    method: str
    arch: str
    batch: int
    img_size: int
    device: str
    dtype: str
    teacher: str
    teacher_dtype: str | None
    compile: bool = False
    fused: bool = False

    def sizes(self) -> dict[str, Any]:
        """Return the architecture of the encoder.

        Raises:
            ValueError: ``arch`` is neither a known name nor a JSON object with the right keys.
        """
        backbone = MaskedSwin if self.method == "mixmae" else MaskedViT
        arch = json.loads(self.arch) if self.arch.startswith("{") else self.arch
        return backbone.resolve_arch(arch)


class NaiveMRMAE(MRMAE):
    """MR-MAE without optimizations.

    The teacher runs in float32 and records a graph, and the backward pass goes through it.
    """

    def compute_targets(self, images: Tensor, grid: tuple[int, int]) -> dict[str, TeacherOutput]:
        """Compute features in float32 with gradients."""
        pixels = denormalize_images(images, self.data_preprocessor)
        target: Any = self.mimics.teacher.target_generator
        tower = target.tower_for(grid, pixels.device).requires_grad_(True)
        with torch.autocast(pixels.device.type, enabled=False):
            features, _ = tower(target.preprocess(pixels, tower), False)
        return dict(teacher=TeacherOutput(features, None))


def build(name: str, setup: Setup) -> Contestant:
    """Build one of the ``CONTESTANTS`` on the device, in training mode."""
    torch.manual_seed(0)
    init_default_scope("mmpretrain")  # where the peer finds its modules
    make = _mixmae if setup.method == "mixmae" else _mrmae
    model, loss = make(name, setup)
    return model.to(setup.device).train(), loss


def _theirs(cfg: dict) -> nn.Module:
    from mmpretrain.registry import MODELS as THEIR_MODELS

    model = THEIR_MODELS.build(cfg)
    model.init_weights()
    return model


def _with_weights(model: Any, peer: nn.Module) -> Any:
    """Copy the weights of ``peer`` into ``model``, except for the heads of mimics."""
    _, weights = convert(peer.state_dict())
    missing, unexpected = model.load_state_dict(weights, strict=False)
    wrong = [key for key in missing if not key.startswith("mimics.")] + unexpected
    if wrong:
        raise ValueError(f"the peer's weights do not fit: {', '.join(wrong[:5])}")
    return model


def _total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def windows(img_size: int) -> list[int]:
    """Return Swin's windows 14, 14, 14, 7, or the largest below that divide the stages' grids."""
    grids = [img_size // stride for stride in (4, 8, 16, 32)]
    return [
        max(side for side in range(1, largest + 1) if grid % side == 0)
        for grid, largest in zip(grids, (14, 14, 14, 7), strict=True)
    ]


def _mixmae(name: str, setup: Setup) -> Contestant:
    sizes = dict(arch=setup.sizes(), img_size=setup.img_size, window_size=windows(setup.img_size))
    peer: Any = _theirs(_mixmim_config(sizes))
    if name == PEER:
        return peer, lambda images: _total(peer.loss(images, None))
    ours = MODELS.build(
        dict(
            type="mim_plugins.MixMAE",
            backbone=dict(type="mim_plugins.MaskedSwin", **sizes),
            decoder=dict(type="mim_plugins.MixMAEDecoder", norm_eps=1e-5, **DECODER),
            head=dict(type="mim_plugins.PixelHead"),
            data_preprocessor=dict(
                type="mim_plugins.MixDataPreprocessor",
                batch_transform=dict(type="mim_plugins.MixImages", mask_ratio=0.5),
                **PIXELS,
            ),
        )
    )
    mix: Any = ours.data_preprocessor.mix
    # the peer mixes inside its encoder, so the step includes our mixing
    return _with_weights(ours, peer), lambda images: _total(ours.loss(mix(images)))


def _mixmim_config(sizes: dict[str, Any]) -> dict:
    return dict(
        type="MixMIM",
        backbone=dict(type="MixMIMPretrainTransformer", mask_ratio=0.5, **sizes),
        neck=dict(
            type="MixMIMPretrainDecoder",
            num_patches=(sizes["img_size"] // 32) ** 2,
            encoder_stride=32,
            embed_dim=sizes["arch"]["embed_dims"] * 8,
            **{f"decoder_{key.replace('dims', 'dim')}": value for key, value in DECODER.items()},
        ),
        head=dict(
            type="MixMIMPretrainHead",
            norm_pix=True,
            loss=dict(type="PixelReconstructionLoss", criterion="L2"),
        ),
    )


def _mrmae(name: str, setup: Setup) -> Contestant:
    arch = setup.sizes()
    peer: Any = _theirs(_mae_config(arch, setup.img_size))
    if name == PEER:
        return peer, lambda images: _total(peer.loss(images, None))
    cfg: dict[str, Any] = dict(
        backbone=dict(type="mim_plugins.MaskedViT", arch=arch, img_size=setup.img_size),
        decoder=dict(type="mim_plugins.MAEDecoder", **DECODER),
        head=dict(type="mim_plugins.PixelHead"),
        data_preprocessor=dict(type="mim_plugins.MixDataPreprocessor", **PIXELS),
    )
    if name != "MAE":
        target = dict(
            type="mim_plugins.TimmTarget",
            model_name=setup.teacher,
            pretrained=None,
            normalize=True,
            dtype=setup.teacher_dtype,
        )
        cfg["mimics"] = dict(teacher=dict(type="mim_plugins.Mimic", target_generator=target))
    ours = (NaiveMRMAE if name == "naive MR-MAE" else MRMAE)(**cfg)
    return _with_weights(ours, peer), lambda images: _total(ours.loss(images))


def _mae_config(arch: dict[str, int], img_size: int) -> dict:
    theirs = dict(
        embed_dims=arch["embed_dims"],
        num_layers=arch["depth"],
        num_heads=arch["num_heads"],
        feedforward_channels=4 * arch["embed_dims"],
    )
    return dict(
        type="MAE",
        backbone=dict(
            type="MAEViT", arch=theirs, img_size=img_size, patch_size=16, mask_ratio=0.75
        ),
        neck=dict(
            type="MAEPretrainDecoder",
            num_patches=(img_size // 16) ** 2,
            patch_size=16,
            embed_dim=arch["embed_dims"],
            **{f"decoder_{key.replace('dims', 'dim')}": value for key, value in DECODER.items()},
        ),
        head=dict(
            type="MAEPretrainHead",
            norm_pix=True,
            patch_size=16,
            loss=dict(type="PixelReconstructionLoss", criterion="L2"),
        ),
    )

"""Sizes of the experiment: for two CPU cores, for a GPU, or only to check that it runs."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Size:
    """Data, epochs and networks; ``configs`` contains all other settings."""

    images: int
    """Pre-training images, from the start of the shuffled training split."""
    labeled: int
    """Labeled images for all evaluations, from the start of the same split."""
    test_images: int
    epochs: int
    """Epochs of every pre-training; at equal time, faster methods get more."""
    ablation_epochs: int
    """Epochs of every pre-training of ``ablate.py``."""
    finetune: dict[int, int]
    """Fine-tuning epochs by share of the labels in percent."""
    teacher: dict[str, int]
    """Arguments of ``teacher.py``."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Changes of a method's config."""


def _networks() -> dict[str, dict[str, Any]]:
    swin = dict(embed_dims=[96, 192, 384], depths=[2, 2, 6], num_heads=[3, 6, 12])
    windows = [16, 8, 4]
    decoder = {"model.decoder.embed_dims": 192, "model.decoder.num_heads": 6}
    mixmae = {
        "model.backbone.arch": swin,
        "model.backbone.patch_size": 2,
        "model.backbone.window_size": windows,
    }
    simmim = {
        "model.backbone.encoder.arch": swin,
        "model.backbone.encoder.patch_size": 2,
        "model.backbone.encoder.window_size": windows,
        "model.neck.in_channels": 384,
        "model.head.patch_size": 2,
        "train_dataloader.dataset.mask.model_patch_size": 2,
    }
    mae = {"model.backbone.arch": dict(depth=12, embed_dims=192, num_heads=3)}
    return dict(mixmae=mixmae | decoder, simmim=simmim, mae=mae | decoder, mrmae=mae | decoder)


SIZES = dict(
    small=Size(
        images=10_000,
        labeled=5_000,
        test_images=5_000,
        epochs=10,
        ablation_epochs=3,
        finetune={1: 50, 10: 15, 100: 3},
        teacher=dict(images=25_000, epochs=3),
    ),
    full=Size(
        images=50_000,
        labeled=50_000,
        test_images=10_000,
        epochs=200,
        ablation_epochs=100,
        finetune={1: 100, 10: 50, 100: 50},
        teacher=dict(images=50_000, epochs=30),
        options=_networks(),
    ),
    smoke=Size(
        images=1_024,
        labeled=1_000,
        test_images=100,
        epochs=2,
        ablation_epochs=1,
        finetune={1: 2, 10: 1, 100: 1},
        teacher=dict(images=512, epochs=1),
    ),
)

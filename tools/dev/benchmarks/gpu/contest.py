"""Training steps that a report measures."""

from dataclasses import dataclass, field
from typing import Any

MIXMIM = "mmpretrain::mixmim/mixmim_mixmim-base_16xb128-coslr-300e_in1k.py"
MAE = "mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py"


@dataclass(frozen=True)
class Contestant:
    """Training steps of a config in one precision, eager or compiled."""

    name: str
    config: str
    """Name of ``list_models()``, or a config of another project."""
    peer: str
    """Name of the contestant to compare with; its own for the peer itself."""
    dtype: str
    compiled: bool
    batches: tuple[int, ...]
    device: str
    repeats: int
    changes: dict[str, Any] = field(default_factory=dict)
    """Changes of the config."""


NAMES = dict(
    mixmae=("MixMAE", "mixmae/swin_b_600e", "mmpretrain's MixMIM"),
    mixmim=("mmpretrain's MixMIM", MIXMIM, "mmpretrain's MixMIM"),
    mrmae=("MR-MAE", "mrmae/vit_b_400e", "mmpretrain's MAE"),
    mrmae_alone=("MR-MAE without teacher", "mrmae/vit_b_400e", "mmpretrain's MAE"),
    mae=("mmpretrain's MAE", MAE, "mmpretrain's MAE"),
)
_NO_TEACHER = {"model.mimics": None}
# in order of worth
FULL = (
    ("mixmae", "bfloat16", False), ("mixmim", "bfloat16", False),
    ("mrmae", "bfloat16", False), ("mae", "bfloat16", False), ("mrmae_alone", "bfloat16", False),
    ("mixmae", "bfloat16", True), ("mixmim", "bfloat16", True),
    ("mrmae", "bfloat16", True), ("mae", "bfloat16", True),
    ("mixmim", "float32", False), ("mixmae", "float32", False),
    ("mae", "float32", False), ("mrmae", "float32", False),
)  # fmt: skip
SMALL = tuple((key, "float32", False) for key in ("mixmae", "mixmim", "mrmae", "mae"))
_SWIN = dict(_delete_=True, embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2])
_SWIN_BACKBONE = dict(arch=_SWIN, img_size=64, window_size=[8, 8, 4, 2])
_VIT = dict(_delete_=True, embed_dims=32, depth=1, num_heads=2)
_THEIR_VIT = dict(_delete_=True, embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=128)
_TEACHER = dict(
    _delete_=True,
    type="mim_plugins.TimmTarget",
    model_name="vit_tiny_patch16_224",
    pretrained=None,
)
_DECODER = dict(embed_dims=16, depth=1, num_heads=2)
_THEIR_DECODER = dict(decoder_embed_dim=16, decoder_depth=1, decoder_num_heads=2)
_SMALL_CHANGES: dict[str, dict[str, Any]] = dict(
    mixmae={"model.backbone": _SWIN_BACKBONE, "model.decoder": _DECODER},
    mixmim={
        "model.backbone": _SWIN_BACKBONE,
        "model.neck": dict(num_patches=4, embed_dim=64, **_THEIR_DECODER),
    },
    mrmae={
        "model.backbone": dict(arch=_VIT, img_size=64),
        "model.decoder": _DECODER,
        "model.mimics.clip.target_generator": _TEACHER,
    },
    mae={
        "model.backbone": dict(arch=_THEIR_VIT, img_size=64),
        "model.neck": dict(num_patches=16, embed_dim=32, **_THEIR_DECODER),
    },
)


def contestants(device: str, small: bool, batches: tuple[int, ...]) -> list[Contestant]:
    """Return the steps to measure, in order of worth."""
    found = []
    for key, dtype, compiled in SMALL if small else FULL:
        name, config, peer = NAMES[key]
        changes = _NO_TEACHER if key == "mrmae_alone" else {}
        if small:
            changes = _SMALL_CHANGES[key]
        repeats = 2 if small else 20
        # each batch size is compiled
        own = batches[-1:] if compiled else batches
        found.append(Contestant(name, config, peer, dtype, compiled, own, device, repeats, changes))
    return found

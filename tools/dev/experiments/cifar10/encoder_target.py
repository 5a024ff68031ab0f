"""Teacher that is the encoder of an earlier pre-training."""

import torch
from experiment import encoder_of
from mmengine.config import Config
from torch import Tensor

from mim_plugins.registry import MODELS
from mim_plugins.targets import TargetGenerator, Tower


class EncoderTower(Tower):
    """Tokens of a ViT of this package after its last norm.

    Args:
        encoder: the ViT.
    """

    has_cls_attention = False

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder: torch.nn.Module = encoder
        self.patch_size = int(encoder.encoder_stride)  # type: ignore[arg-type]
        side = int(encoder.img_size[0])  # type: ignore[index]
        self.grid = (side // self.patch_size, side // self.patch_size)
        self.out_channels = int(encoder.embed_dims)  # type: ignore[arg-type]

    def forward(self, images: Tensor, with_attention: bool) -> tuple[Tensor, None]:
        """Return tokens (B, L, D) in row-major order."""
        return self.encoder(images)[0].flatten(2).transpose(1, 2), None


@MODELS.register_module()
class EncoderTarget(TargetGenerator):
    """Features of an encoder that was pre-trained without labels.

    Args:
        config: config file of the pre-training.
        checkpoint: its checkpoint.
        normalize: see :class:`TargetGenerator`.
    """

    def __init__(self, config: str, checkpoint: str, normalize: bool = True) -> None:
        cfg = Config.fromfile(config, import_custom_modules=False)
        settings, prefix = encoder_of(cfg)
        weights = dict(type="Pretrained", checkpoint=checkpoint, prefix=prefix)
        encoder = MODELS.build(dict(settings, out_type="featmap", init_cfg=weights))
        encoder.init_weights()
        mean, std = (tuple(value / 255 for value in cfg[name]) for name in ("mean", "std"))
        super().__init__(EncoderTower(encoder), mean, std, normalize)

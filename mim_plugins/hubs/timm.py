"""This package's encoders as a model of timm: ``import mim_plugins.hubs.timm`` registers it."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..apis import Encoder, describe_config
from ..backbones.arguments import check_img_size
from ..checkpoints.description import check_backbone
from ..checkpoints.selection import BACKBONE
from ..errors import CheckpointError, MissingPackageError

try:
    from timm.models import build_model_with_cfg, register_model
except ImportError as error:
    raise MissingPackageError(
        f"mim_plugins.hubs.timm needs timm ({error}): pip install 'mim_plugins[targets]'"
    ) from None

__all__ = ["TimmEncoder", "mim_plugins_encoder"]


class TimmEncoder(nn.Module):
    """Encoder with the interface of timm's models.

    Args:
        backbone: ``type`` and arguments of a backbone of this package.
        num_classes: outputs of the linear classifier; 0 for pooled features.
        in_chans: channels of the images, those of the backbone.
        global_pool: ``'avg'``, or ``''`` for maps.
        drop_rate: dropout before the classifier.
        drop_path_rate: stochastic depth of the backbone.
        img_size: side or (H, W) of the images; it is only checked, because the backbone reads
            images of any size.

    Raises:
        CheckpointError: the backbone is not one of this package, or has other channels.
        ValueError: ``drop_path_rate`` or ``img_size`` is invalid.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        num_classes: int = 0,
        in_chans: int = 3,
        global_pool: str = "avg",
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        img_size: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        problem = check_backbone(backbone)
        if problem:
            raise CheckpointError(f"mim_plugins_encoder: backbone: {problem}")
        description = describe_config(dict(model=dict(backbone=backbone)))
        assert description is not None  # the type has been checked
        with_rate = description.backbone | dict(drop_path_rate=drop_path_rate)
        self.backbone: Any = Encoder(description._replace(backbone=with_rate)).backbone
        if img_size is not None:
            check_img_size("mim_plugins_encoder", img_size)
        if in_chans != self.backbone.in_channels:
            raise CheckpointError(
                f"mim_plugins_encoder: in_chans={in_chans}, but the encoder reads"
                f" {self.backbone.in_channels} channels; give that number"
            )
        self.num_features = self.head_hidden_size = self.backbone.out_channels
        self.drop_rate = drop_rate
        self.global_pool = global_pool
        self.reset_classifier(num_classes)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Enable or disable gradient checkpointing of each block."""
        for module in self.backbone.modules():
            if hasattr(module, "with_cp"):
                module.with_cp = enable

    def get_classifier(self) -> nn.Module:
        """Return the classifier."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier by another number of classes, 0 for none."""
        self.num_classes = num_classes
        self.global_pool = self.global_pool if global_pool is None else global_pool
        width = self.num_features
        self.head = nn.Linear(width, num_classes) if num_classes > 0 else nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last map (B, D, h, w), or pooled features (B, D) of a pooling backbone."""
        return self.backbone(x)[-1]

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool features, and classify unless ``pre_logits``."""
        if x.ndim == 4 and self.global_pool:
            x = x.mean(dim=(2, 3))
        x = nn.functional.dropout(x, self.drop_rate, self.training)
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return pooled features or logits of normalized images (B, C, H, W)."""
        return self.forward_head(self.forward_features(x))


def _with_prefix(state_dict: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Rename the tensors of an exported encoder; those of a trained ``TimmEncoder`` fit already."""
    own = model.state_dict()
    return {name if name in own else f"{BACKBONE}{name}": each for name, each in state_dict.items()}


@register_model
def mim_plugins_encoder(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Build an encoder from the ``config.json`` that ``Encoder.save_pretrained`` writes.

    Raises:
        CheckpointError: ``features_only`` is set.
    """
    if kwargs.get("features_only"):
        raise CheckpointError(
            "mim_plugins_encoder: features_only=True is not possible; for maps of several stages,"
            " load the encoder with mim_plugins.load and use its backbone"
        )
    return build_model_with_cfg(
        TimmEncoder, "mim_plugins_encoder", pretrained, pretrained_filter_fn=_with_prefix, **kwargs
    )

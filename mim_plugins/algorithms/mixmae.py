"""MixMAE: mixed and masked autoencoder for hierarchical Vision Transformers."""

from typing import Any

import torch
from torch import Tensor

from ..layers import unpatchify
from ..masking import MixedImages, mix_tokens, unmix
from ..registry import MODELS
from .fitted_parts import (
    build_decoder,
    build_fitted,
    check_preprocessor,
    image_channels,
)
from .mimic_utils import build_mimics, mimic_loss_name, to_pixels
from .pretraining_model import PretrainingModel


@MODELS.register_module()
class MixMAE(PretrainingModel):
    """MixMAE pre-training (arXiv 2205.13137).

    Two images are mixed by a mask, encoded together without seeing each other, and both are
    reconstructed. Width, stride and grid of the encoder are passed on to decoder, head and mixing:
    a config states them once, in the backbone.

    Args:
        backbone: a hierarchical encoder with ``forward_mixed``, ``encoder_stride``, ``img_size``
            and ``stage_channels``, such as :class:`MaskedSwin`.
        decoder: config of the decoder, such as :class:`MixMAEDecoder`.
        head: config of the loss, such as :class:`PixelHead`.
        data_preprocessor: config of :class:`MixDataPreprocessor` with a ``batch_transform``.
        mimics: named configs of :class:`Mimic`: teachers whose features each token mimics at its
            place in its own image (MR-MAE's idea, in neither paper).
        init_cfg: MMEngine's.

    Raises:
        ValueError: the backbone cannot read a mask, the preprocessor does not mix, the mask ratio
            leaves an image without a visible or a masked token, or a part does not agree with the
            backbone (grid, patch size, image channels).
    """

    def __init__(
        self,
        backbone: dict,
        decoder: dict,
        head: dict,
        data_preprocessor: dict,
        mimics: dict[str, dict] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        if not hasattr(self.backbone, "forward_mixed"):
            raise ValueError(
                f"MixMAE: backbone {type(self.backbone).__name__} has no forward_mixed(images,"
                " mask); use mim_plugins.MaskedSwin, mim_plugins.MaskedPVT or a subclass of"
                " HierarchicalBackbone"
            )
        mixing: Any = getattr(self.data_preprocessor, "batch_transform", None)
        if not hasattr(mixing, "fit"):
            raise ValueError(
                "MixMAE: data_preprocessor must be a mim_plugins.MixDataPreprocessor with"
                " batch_transform=dict(type='mim_plugins.MixImages') or another transform that has"
                " fit(encoder_stride, img_size) and returns MixedImages"
            )
        stride, channels = self.backbone.encoder_stride, self.backbone.stage_channels[-1]
        mixing.fit(stride, self.backbone.img_size)
        self.decoder = build_decoder("MixMAE", decoder, self.backbone, channels)
        self.head = build_fitted("MixMAE", "head", head, patch_size=stride)
        check_preprocessor(
            "MixMAE", self.data_preprocessor, image_channels(self.backbone), mimics or {}
        )
        self.mimics: Any = build_mimics(mimics, channels)
        for name, mimic in self.mimics.items():
            if mimic.levels:
                raise ValueError(
                    f"MixMAE: levels={mimic.levels} of mimic {name!r}: the stages of a hierarchical"
                    " encoder have different grids and are not fused; leave levels out"
                )

    def loss(self, batch: MixedImages) -> dict[str, Tensor]:
        """One step: encode the mixtures, reconstruct both images, compare with the originals."""
        tokens = self.backbone.forward_mixed(batch.mixed, batch.mask)  # (B, L, D)
        pred_own, pred_partner = self.decoder(tokens, batch.mask)  # (B, L, P) each
        prediction = unmix(pred_own, pred_partner, batch.mask, batch.partner)  # (B, L, P)
        return dict(
            loss_rec=self.head(prediction, batch.images), **self.mimic_losses(batch, tokens)
        )

    def mimic_losses(self, batch: MixedImages, tokens: Tensor) -> dict[str, Tensor]:
        """Distance of each token (B, L, D) to the teachers' features of its own image."""
        if not self.mimics:
            return {}
        grid = (batch.mask.shape[1], batch.mask.shape[2])
        pixels = to_pixels(batch.images, self.data_preprocessor)
        losses = {}
        for name, mimic in self.mimics.items():
            features = mimic.teacher_features(pixels, grid).features  # (B, L, D')
            target = mix_tokens(features, batch.mask, batch.partner)
            losses[mimic_loss_name(name, self.mimics)] = mimic(tokens, target)
        return losses

    @torch.no_grad()
    def reconstruct(self, batch: MixedImages) -> tuple[Tensor, Tensor]:
        """Both images of each mixture, visible patches as they are and hidden ones predicted.

        Returns:
            The own images and the partner images (B, C, H, W) each, normalized like the input.
        """
        pred_own, pred_partner = self.decoder(
            self.backbone.forward_mixed(batch.mixed, batch.mask), batch.mask
        )
        stride = self.backbone.encoder_stride
        hidden = batch.mask.repeat_interleave(stride, 1).repeat_interleave(stride, 2)[:, None]
        hidden = hidden.to(batch.images.device)

        def complete(prediction: Tensor, images: Tensor, hidden: Tensor) -> Tensor:
            pixels = self.head.to_pixels(prediction, images)
            predicted = unpatchify(pixels, stride, (batch.mask.shape[1], batch.mask.shape[2]))
            return torch.where(hidden, predicted, images)

        return (
            complete(pred_own, batch.images, hidden),
            complete(pred_partner, batch.images[batch.partner], ~hidden),
        )

"""MixMAE: mixed and masked autoencoder for hierarchical Vision Transformers."""

import inspect
from typing import Any

import torch
from torch import Tensor

from ..layers import unpatchify
from ..masking import MixedImages, mix_tokens, unmix, upsample_mask
from ..registry import MODELS
from .dependent_parts import (
    build_decoder,
    build_dependent,
    check_img_size,
    check_outputs,
    check_preprocessor,
    image_channels,
)
from .mimic import build_mimics, denormalize_images, mimic_loss_name, used_mimics
from .pretraining_model import PretrainingModel


@MODELS.register_module()
class MixMAE(PretrainingModel):
    """MixMAE pre-training (arXiv 2205.13137).

    Two images are mixed by a mask and encoded together; tokens attend only to tokens of the same
    image. The decoder reconstructs both images. Width, stride and grid of the encoder are set in
    the config of the backbone only; decoder, head and mixing take them from there.

    Args:
        backbone: a hierarchical encoder with ``forward_mixed``, ``encoder_stride``, ``img_size``
            and ``stage_channels``, such as :class:`MaskedSwin`.
        decoder: config of the decoder, such as :class:`MixMAEDecoder`.
        head: config of the loss, such as :class:`PixelHead`.
        data_preprocessor: config of :class:`MixDataPreprocessor` with a ``batch_transform``.
        mimics: named configs of :class:`Mimic`; None for one that a base config lists removes it.
            Each token mimics the teacher's features at its position in its own image. This
            combination with MR-MAE is in neither paper. Teachers read RGB, so images of files need
            ``bgr_to_rgb=True`` of the data preprocessor.
        init_cfg: MMEngine's.

    Raises:
        ValueError: the backbone has no ``forward_mixed``, the preprocessor does not mix images, the
            mask ratio leaves an image without a visible or without a masked token, the backbone has
            norms of further outputs, or a part contradicts it (grid, patch size, image channels).

    Example:
        >>> import torch
        >>> from mim_plugins.algorithms import MixMAE
        >>> arch = dict(embed_dims=8, depths=(1, 1, 2, 1), num_heads=(1, 1, 2, 2))
        >>> model = MixMAE(
        ...     backbone=dict(type="mim_plugins.MaskedSwin", arch=arch, img_size=64),
        ...     decoder=dict(type="mim_plugins.MixMAEDecoder", embed_dims=16, depth=1, num_heads=2),
        ...     head=dict(type="mim_plugins.PixelHead"),
        ...     data_preprocessor=dict(
        ...         type="mim_plugins.MixDataPreprocessor",
        ...         mean=[123.675, 116.28, 103.53],
        ...         std=[58.395, 57.12, 57.375],
        ...         bgr_to_rgb=True,  # files are loaded as BGR
        ...         batch_transform=dict(type="mim_plugins.MixImages"),
        ...     ),
        ... )
        >>> images = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in range(4)]
        >>> batch = model.data_preprocessor(dict(inputs=images), training=True)
        >>> losses = model(**batch, mode="loss")
        >>> {name: tuple(loss.shape) for name, loss in losses.items()}
        {'loss_rec': ()}
    """

    def __init__(
        self,
        backbone: dict,
        decoder: dict,
        head: dict,
        data_preprocessor: dict,
        mimics: dict[str, dict | None] | None = None,
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
        check_outputs("MixMAE", self.backbone)
        check_img_size("MixMAE", self.backbone)
        mixing: Any = getattr(self.data_preprocessor, "batch_transform", None)
        if not hasattr(mixing, "bind"):
            raise ValueError(
                "MixMAE: data_preprocessor must be a mim_plugins.MixDataPreprocessor with"
                " batch_transform=dict(type='mim_plugins.MixImages') or another transform with"
                " bind(encoder_stride, img_size) that returns MixedImages"
            )
        stride, channels = self.backbone.encoder_stride, self.backbone.stage_channels[-1]
        mixing.bind(stride, self.backbone.img_size)
        if "plan" in inspect.signature(self.backbone.forward_mixed).parameters:
            self.data_preprocessor.planner = self.backbone.planner
        self.decoder = build_decoder("MixMAE", decoder, self.backbone, channels)
        self.head = build_dependent("MixMAE", "head", head, patch_size=stride)
        used = used_mimics("MixMAE", mimics)
        check_preprocessor("MixMAE", self.data_preprocessor, image_channels(self.backbone), used)
        self.mimics: Any = build_mimics(used, channels)
        for name, mimic in self.mimics.items():
            if mimic.fusion_layers:
                raise ValueError(
                    f"MixMAE: fusion_layers={mimic.fusion_layers} of mimic {name!r} must be empty,"
                    " because the stages of a hierarchical encoder have different grids; leave it"
                    " out"
                )

    def loss(self, batch: MixedImages) -> dict[str, Tensor]:
        """Run one training step: encode the mixtures and reconstruct both images of each."""
        tokens = self.encode(batch)  # (B, L, D)
        pred_own, pred_partner = self.decoder(tokens, batch.mask)  # (B, L, P) each
        prediction = unmix(  # (B, L, P)
            pred_own, pred_partner, batch.mask, batch.partner, batch.mixture
        )
        return dict(
            loss_rec=self.head(prediction, batch.images), **self.mimic_losses(batch, tokens)
        )

    def encode(self, batch: MixedImages) -> Tensor:
        """Encode mixtures as tokens (B, L, D), with the plan of the data preprocessor if any."""
        planned = () if batch.plan is None else (batch.plan,)
        return self.backbone.forward_mixed(batch.mixed, batch.mask, *planned)

    def mimic_losses(self, batch: MixedImages, tokens: Tensor) -> dict[str, Tensor]:
        """Compute the distance of the tokens (B, L, D) to the teachers' features."""
        if not self.mimics:
            return {}
        grid = (batch.mask.shape[1], batch.mask.shape[2])
        pixels = denormalize_images(batch.images, self.data_preprocessor)
        losses = {}
        for name, mimic in self.mimics.items():
            features = mimic.teacher_features(pixels, grid).features  # (B, L, D')
            target = mix_tokens(features, batch.mask, batch.partner)
            losses[mimic_loss_name(name, self.mimics)] = mimic(tokens, target)
        return losses

    @torch.no_grad()
    def reconstruct(self, batch: MixedImages) -> tuple[Tensor, Tensor]:
        """Reconstruct both images of each mixture from its visible patches.

        Returns:
            Own images and partner images, (B, C, H, W) each, normalized like the input. Visible
            patches are copied, masked ones are predicted.
        """
        pred_own, pred_partner = self.decoder(self.encode(batch), batch.mask)
        stride = self.backbone.encoder_stride
        masked = upsample_mask(batch.mask, stride)[:, None].to(batch.images.device)

        def fill_in(prediction: Tensor, images: Tensor, masked: Tensor) -> Tensor:
            pixels = self.head.denormalize_patches(prediction, images)
            predicted = unpatchify(pixels, stride, (batch.mask.shape[1], batch.mask.shape[2]))
            return torch.where(masked, predicted, images)

        return (
            fill_in(pred_own, batch.images, masked),
            fill_in(pred_partner, batch.images[batch.partner], ~masked),
        )

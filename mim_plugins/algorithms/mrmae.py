"""MR-MAE: mimic before reconstruct."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..backbones import EncodedTokens, PlainBackbone
from ..layers import unpatchify
from ..masking import (
    TokenMask,
    attention_scores,
    count_visible,
    gather_tokens,
    mask_from_scores,
    random_scores,
    upsample_mask,
)
from ..number_checks import check_above_0, check_not_negative, check_share
from ..registry import MODELS
from ..targets import TeacherOutput
from .dependent_parts import (
    build_decoder,
    build_dependent,
    check_img_size,
    check_outputs,
    check_preprocessor,
    check_unmixed,
    image_channels,
)
from .mimic import build_mimics, denormalize_images, mimic_loss_name, used_mimics
from .pretraining_model import PretrainingModel


class Reconstruction(NamedTuple):
    """Reconstruction of masked images by MR-MAE."""

    images: Tensor
    """Normalized images (B, C, H, W); visible patches are copied, masked ones are predicted."""
    masked: Tensor
    """Bool (B, 1, H, W), True = masked."""
    attention: Tensor | None
    """[CLS] attention of the focus teacher (B, h, w); None without a focus teacher."""


@MODELS.register_module()
class MRMAE(PretrainingModel):
    """MR-MAE pre-training (arXiv 2303.05475).

    At the end of the encoder, the visible tokens mimic the features of a frozen teacher. The
    decoder reconstructs the masked patches, so the two losses apply to disjoint tokens. Without
    ``mimics`` this is MAE, or MCMAE with a :class:`MaskedConvViT`.

    Args:
        backbone: a :class:`PlainBackbone`, such as :class:`MaskedViT`.
        decoder: config of the decoder, such as :class:`MAEDecoder`.
        head: config of the pixel loss, such as :class:`PixelHead`.
        mimics: named configs of :class:`Mimic`, such as ``dict(clip=dict(...))``; None for one that
            a base config lists removes it.
        mask_ratio: share of the tokens that are masked, between 0 and 1.
        reconstruction_weight: factor of the pixel loss.
        focus_teacher: name of the mimic whose teacher's [CLS] attention determines which tokens
            tend to be visible ("focused mimicking"). None samples them uniformly.
        focus_temperature: see :func:`attention_scores`.
        data_preprocessor: config of MMEngine's ``ImgDataPreprocessor`` or
            :class:`MixDataPreprocessor`, with ``mean`` and ``std``. Teachers read RGB, so images of
            files need ``bgr_to_rgb=True``.
        init_cfg: MMEngine's.

    Raises:
        ValueError: the backbone is no :class:`PlainBackbone` with ``out_type='featmap'`` or has
            norms of further outputs, the preprocessor mixes images, ``mask_ratio`` leaves no
            visible or no masked token, ``focus_teacher`` names no mimic or a teacher without [CLS]
            attention, or a part contradicts the backbone (grid, patch size, image channels).

    Example:
        >>> import torch
        >>> from mim_plugins.algorithms import MRMAE
        >>> arch = dict(depth=2, embed_dims=16, num_heads=2)
        >>> model = MRMAE(
        ...     backbone=dict(type="mim_plugins.MaskedViT", arch=arch, img_size=64),
        ...     decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=16, depth=1, num_heads=2),
        ...     head=dict(type="mim_plugins.PixelHead"),
        ...     data_preprocessor=dict(
        ...         type="ImgDataPreprocessor",
        ...         mean=[123.675, 116.28, 103.53],
        ...         std=[58.395, 57.12, 57.375],
        ...         bgr_to_rgb=True,  # files are loaded as BGR
        ...     ),
        ... )
        >>> images = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in range(2)]
        >>> batch = model.data_preprocessor(dict(inputs=images), training=True)
        >>> losses = model(**batch, mode="loss")  # no mimics, so this is MAE
        >>> {name: tuple(loss.shape) for name, loss in losses.items()}
        {'loss_rec': ()}
        >>> reconstruction = model.reconstruct(batch["inputs"])
        >>> reconstruction.images.shape
        torch.Size([2, 3, 64, 64])
    """

    def __init__(
        self,
        backbone: dict,
        decoder: dict,
        head: dict,
        data_preprocessor: dict,
        mimics: dict[str, dict | None] | None = None,
        mask_ratio: float = 0.75,
        reconstruction_weight: float = 1.0,
        focus_teacher: str | None = None,
        focus_temperature: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        if not isinstance(self.backbone, PlainBackbone):
            raise ValueError(
                f"MRMAE: backbone {type(self.backbone).__name__} has no forward_masked; use"
                " mim_plugins.MaskedViT, mim_plugins.MaskedConvViT or a subclass of PlainBackbone"
            )
        if self.backbone.out_type != "featmap":
            raise ValueError(
                f"MRMAE: the backbone's out_type={self.backbone.out_type!r} must be 'featmap' in"
                " pre-training"
            )
        check_outputs("MRMAE", self.backbone)
        check_img_size("MRMAE", self.backbone)
        check_unmixed("MRMAE", self.data_preprocessor)
        check_share("MRMAE", "mask_ratio", mask_ratio)
        check_not_negative("MRMAE", "reconstruction_weight", reconstruction_weight)
        check_above_0("MRMAE", "focus_temperature", focus_temperature)
        stride, img_size = self.backbone.encoder_stride, self.backbone.img_size
        count_visible((img_size[0] // stride) * (img_size[1] // stride), mask_ratio)
        dim = self.backbone.embed_dims
        self.decoder = build_decoder("MRMAE", decoder, self.backbone, dim)
        self.head = build_dependent("MRMAE", "head", head, patch_size=stride)
        used = used_mimics("MRMAE", mimics)
        check_preprocessor("MRMAE", self.data_preprocessor, image_channels(self.backbone), used)
        self.mimics: Any = build_mimics(used, dim)
        self.mask_ratio = mask_ratio
        self.reconstruction_weight = reconstruction_weight
        self.focus_teacher = focus_teacher
        self.focus_temperature = focus_temperature
        self.fusion_layers = _all_fusion_layers(self.mimics)
        self._check_fusion_layers()
        self._check_focus()

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Run one training step.

        Compute teacher targets, sample the mask, encode visible tokens, reconstruct masked ones.
        """
        grid = self.token_grid(images)
        targets = self.compute_targets(images, grid)
        token_mask = self.sample_mask(images, targets)
        encoded = self.backbone.forward_masked(images, token_mask, self.fusion_layers)
        prediction = self.decoder(
            encoded.tokens, encoded.prefix_tokens, token_mask.ids_restore, grid
        )
        reconstruction = self.head(prediction, images, token_mask.mask)
        return dict(
            loss_rec=self.reconstruction_weight * reconstruction,
            **self.mimic_losses(encoded, targets, token_mask.ids_keep),
        )

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Reconstruction:
        """Mask normalized images (B, 3, H, W) as in training and reconstruct masked patches."""
        grid, stride = self.token_grid(images), self.backbone.encoder_stride
        targets = self.compute_targets(images, grid)
        token_mask = self.sample_mask(images, targets)
        encoded = self.backbone.forward_masked(images, token_mask)
        prediction = self.decoder(
            encoded.tokens, encoded.prefix_tokens, token_mask.ids_restore, grid
        )
        predicted = unpatchify(self.head.denormalize_patches(prediction, images), stride, grid)
        masked = upsample_mask(token_mask.mask.unflatten(1, grid), stride)[:, None]
        attention = None
        if self.focus_teacher is not None:
            attention = targets[self.focus_teacher].attention
        return Reconstruction(
            torch.where(masked, predicted, images),
            masked,
            None if attention is None else attention.unflatten(1, grid),
        )

    def mimic_losses(
        self, encoded: EncodedTokens, targets: dict[str, TeacherOutput], ids_keep: Tensor
    ) -> dict[str, Tensor]:
        """Compute the distance of the visible tokens to the features of each teacher."""
        by_layer = dict(zip(self.fusion_layers, encoded.intermediates, strict=True))
        losses = {}
        for name, mimic in self.mimics.items():
            target = gather_tokens(targets[name].features, ids_keep)  # (B, V, D')
            fused = tuple(by_layer[layer] for layer in mimic.fusion_layers)
            losses[mimic_loss_name(name, self.mimics)] = mimic(encoded.tokens, target, fused)
        return losses

    def token_grid(self, images: Tensor) -> tuple[int, int]:
        """Return the token grid (h, w) of images (B, 3, H, W)."""
        stride = self.backbone.encoder_stride
        return images.shape[-2] // stride, images.shape[-1] // stride

    def compute_targets(self, images: Tensor, grid: tuple[int, int]) -> dict[str, TeacherOutput]:
        """Compute the features of all teachers for normalized images, on the student's ``grid``."""
        if not self.mimics:
            return {}
        pixels = denormalize_images(images, self.data_preprocessor)
        return {
            name: mimic.teacher_features(pixels, grid, with_attention=name == self.focus_teacher)
            for name, mimic in self.mimics.items()
        }

    def sample_mask(self, images: Tensor, targets: dict[str, TeacherOutput]) -> TokenMask:
        """Sample the visible tokens uniformly, or by the attention of the focus teacher."""
        if self.focus_teacher is not None:
            attention: Any = targets[self.focus_teacher].attention
            scores = attention_scores(attention, self.focus_temperature)
        else:
            height, width = self.token_grid(images)
            scores = random_scores(len(images), height * width, images.device)
        return mask_from_scores(scores, self.mask_ratio)

    def _check_fusion_layers(self) -> None:
        blocks = len(self.backbone.blocks)
        for name, mimic in self.mimics.items():
            if not all(0 <= layer < blocks for layer in mimic.fusion_layers):
                raise ValueError(
                    f"MRMAE: fusion_layers={mimic.fusion_layers} of mimic {name!r} must be between"
                    f" 0 and {blocks - 1}, the last block of the backbone"
                )

    def _check_focus(self) -> None:
        if self.focus_teacher is None:
            return
        if self.focus_teacher not in self.mimics:
            raise ValueError(
                f"MRMAE: focus_teacher={self.focus_teacher!r} must name one of the mimics"
                f" {list(self.mimics)}"
            )
        if not self.mimics[self.focus_teacher].target_generator.has_cls_attention:
            raise ValueError(
                f"MRMAE: focus_teacher={self.focus_teacher!r} must name a teacher with [CLS]"
                " attention; choose another teacher or focus_teacher=None"
            )


def _all_fusion_layers(mimics: Any) -> list[int]:
    """Return the layers of the encoder that any of the ``mimics`` fuses, sorted."""
    return sorted({layer for mimic in mimics.values() for layer in mimic.fusion_layers})

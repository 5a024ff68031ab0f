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
)
from ..registry import MODELS
from ..targets import TeacherOutput
from .fitted_parts import (
    build_decoder,
    build_fitted,
    check_preprocessor,
    image_channels,
)
from .mimic_utils import build_mimics, mimic_loss_name, to_pixels
from .pretraining_model import PretrainingModel


class Reconstruction(NamedTuple):
    """What MR-MAE makes of masked images."""

    images: Tensor
    """Images (B, C, H, W), normalized: visible patches as they are, masked ones predicted."""
    hidden: Tensor
    """Bool (B, 1, H, W), True = masked."""
    attention: Tensor | None
    """The focus teacher's [CLS] attention (B, h, w), where one chose the visible tokens."""


@MODELS.register_module()
class MRMAE(PretrainingModel):
    """MR-MAE pre-training (arXiv 2303.05475).

    The visible tokens mimic a frozen teacher's features at the encoder's end, the masked ones are
    reconstructed by the decoder; the two sets are disjoint. Without ``mimics`` this is MAE, or
    MCMAE with a :class:`MaskedConvViT`.

    Args:
        backbone: a :class:`PlainBackbone`, such as :class:`MaskedViT`.
        decoder: config of the decoder, such as :class:`MAEDecoder`.
        head: config of the pixel loss, such as :class:`PixelHead`.
        mimics: named configs of :class:`Mimic`, such as ``dict(clip=dict(...))``.
        mask_ratio: share of the tokens that are masked, between 0 and 1.
        reconstruction_weight: factor of the pixel loss.
        focus: name of the mimic whose teacher's [CLS] attention chooses the visible tokens
            ("focused mimicking"); None draws them uniformly.
        focus_temperature: see :func:`attention_scores`.
        data_preprocessor: config of MMEngine's ``ImgDataPreprocessor`` or
            :class:`MixDataPreprocessor`, with ``mean`` and ``std``.
        init_cfg: MMEngine's.

    Raises:
        ValueError: a backbone that cannot read visible tokens only, a ``mask_ratio`` that leaves
            no visible or no masked token, a ``focus`` that names no mimic or a teacher without
            [CLS] attention, or a part that does not agree with the backbone (grid, patch size,
            image channels).
    """

    def __init__(
        self,
        backbone: dict,
        decoder: dict,
        head: dict,
        data_preprocessor: dict,
        mimics: dict[str, dict] | None = None,
        mask_ratio: float = 0.75,
        reconstruction_weight: float = 1.0,
        focus: str | None = None,
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
        stride, img_size = self.backbone.encoder_stride, self.backbone.img_size
        count_visible((img_size[0] // stride) * (img_size[1] // stride), mask_ratio)
        dim = self.backbone.embed_dims
        self.decoder = build_decoder("MRMAE", decoder, self.backbone, dim)
        self.head = build_fitted("MRMAE", "head", head, patch_size=stride)
        check_preprocessor(
            "MRMAE", self.data_preprocessor, image_channels(self.backbone), mimics or {}
        )
        self.mimics: Any = build_mimics(mimics, dim)
        self.mask_ratio = mask_ratio
        self.reconstruction_weight = reconstruction_weight
        self.focus = focus
        self.focus_temperature = focus_temperature
        self.levels: list[int] = _used_levels(self.mimics)
        self._check_levels()
        self._check_focus()

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """One step: ask the teachers, hide tokens, mimic the visible, reconstruct the masked."""
        grid = self.token_grid(images)
        targets = self.compute_targets(images, grid)
        token_mask = self.sample_mask(images, targets)
        seen = self.backbone.forward_masked(images, token_mask, self.levels)
        prediction = self.decoder(seen.tokens, seen.prefix, token_mask.ids_restore, grid)
        reconstruction = self.head(prediction, images, token_mask.mask)
        return dict(
            loss_rec=self.reconstruction_weight * reconstruction,
            **self.mimic_losses(seen, targets, token_mask.ids_keep),
        )

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Reconstruction:
        """Mask normalized images (B, 3, H, W) as in training and predict what is hidden."""
        grid, stride = self.token_grid(images), self.backbone.encoder_stride
        targets = self.compute_targets(images, grid)
        token_mask = self.sample_mask(images, targets)
        seen = self.backbone.forward_masked(images, token_mask)
        prediction = self.decoder(seen.tokens, seen.prefix, token_mask.ids_restore, grid)
        predicted = unpatchify(self.head.to_pixels(prediction, images), stride, grid)
        cells = token_mask.mask.unflatten(1, grid)
        hidden = cells.repeat_interleave(stride, 1).repeat_interleave(stride, 2)[:, None]
        attention = targets[self.focus].attention if self.focus is not None else None
        return Reconstruction(
            torch.where(hidden, predicted, images),
            hidden,
            None if attention is None else attention.unflatten(1, grid),
        )

    def mimic_losses(
        self, seen: EncodedTokens, targets: dict[str, TeacherOutput], ids_keep: Tensor
    ) -> dict[str, Tensor]:
        """Distance of the visible tokens to every teacher's features at the same places."""
        by_level = dict(zip(self.levels, seen.levels, strict=True))
        losses = {}
        for name, mimic in self.mimics.items():
            target = gather_tokens(targets[name].features, ids_keep)  # (B, V, D')
            fused = tuple(by_level[level] for level in mimic.levels)
            losses[mimic_loss_name(name, self.mimics)] = mimic(seen.tokens, target, fused)
        return losses

    def token_grid(self, images: Tensor) -> tuple[int, int]:
        """Tokens (h, w) of images (B, 3, H, W)."""
        stride = self.backbone.encoder_stride
        return images.shape[-2] // stride, images.shape[-1] // stride

    def compute_targets(self, images: Tensor, grid: tuple[int, int]) -> dict[str, TeacherOutput]:
        """Every teacher's features of normalized images, on the student's grid."""
        if not self.mimics:
            return {}
        pixels = to_pixels(images, self.data_preprocessor)
        return {
            name: mimic.teacher_features(pixels, grid, with_attention=name == self.focus)
            for name, mimic in self.mimics.items()
        }

    def sample_mask(self, images: Tensor, targets: dict[str, TeacherOutput]) -> TokenMask:
        """Choose the visible tokens uniformly, or by the focus teacher's attention."""
        if self.focus is not None:
            attention: Any = targets[self.focus].attention
            scores = attention_scores(attention, self.focus_temperature)
        else:
            height, width = self.token_grid(images)
            scores = random_scores(len(images), height * width, images.device)
        return mask_from_scores(scores, self.mask_ratio)

    def _check_levels(self) -> None:
        blocks = len(self.backbone.blocks)
        for name, mimic in self.mimics.items():
            if not all(0 <= level < blocks for level in mimic.levels):
                raise ValueError(
                    f"MRMAE: levels={mimic.levels} of mimic {name!r} must be between 0 and"
                    f" {blocks - 1}, the backbone's blocks"
                )

    def _check_focus(self) -> None:
        if self.focus_temperature <= 0:
            raise ValueError(f"MRMAE: focus_temperature={self.focus_temperature} must be above 0")
        if self.focus is None:
            return
        if self.focus not in self.mimics:
            raise ValueError(
                f"MRMAE: focus={self.focus!r} must name one of the mimics {list(self.mimics)}"
            )
        if not self.mimics[self.focus].target.has_cls_attention:
            raise ValueError(
                f"MRMAE: focus={self.focus!r}, but this teacher has no [CLS] attention; choose"
                " another teacher or focus=None"
            )


def _used_levels(mimics: Any) -> list[int]:
    """Layers of the encoder that any of the ``mimics`` fuses."""
    return sorted({level for mimic in mimics.values() for level in mimic.levels})

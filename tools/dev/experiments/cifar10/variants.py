"""Variants for the ablations: methods without one of their components."""

from typing import Any

import torch
from torch import Tensor, nn

from mim_plugins.algorithms import MRMAE, MixMAE
from mim_plugins.backbones import MaskedSwin
from mim_plugins.heads import MimicHead
from mim_plugins.masking import MixedImages
from mim_plugins.registry import MODELS


@MODELS.register_module()
class UnmaskedAttentionSwin(MaskedSwin):
    """Encoder whose attention does not separate the two images of a mixture."""

    def forward_mixed(self, images: Tensor, mask: Tensor, plan: tuple | None = None) -> Tensor:
        """Encode mixed images (B, 3, H, W) to tokens (B, L, D); mask and plan are not used."""
        x = self.embed(images)
        for stage in self.stages:
            x = stage(x, None)
        return self.norm(x).flatten(1, 2)


@MODELS.register_module()
class SingleReconstruction(MixMAE):
    """MixMAE that reconstructs only the first image of each mixture, where it is masked."""

    def loss(self, batch: MixedImages) -> dict[str, Tensor]:
        """Compute MixMAE's loss without the reconstruction of the partner."""
        tokens = self.encode(batch)
        pred_own, _ = self.decoder(tokens, batch.mask)
        masked = batch.mask.flatten(1).to(tokens.device).expand(len(tokens), -1)
        return dict(loss_rec=self.head(pred_own, batch.images, masked))


@MODELS.register_module()
class DecoderMimic(MRMAE):
    """MR-MAE whose decoder mimics the teachers, on masked tokens or on all tokens.

    The same decoder tokens predict pixels and features, so the two losses interfere on masked
    tokens, which MR-MAE avoids.

    Args:
        on_all: mimic on all tokens instead of masked ones.
        **kwargs: arguments of :class:`MRMAE`.
    """

    def __init__(self, on_all: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.on_all = on_all
        width = self.decoder.norm.normalized_shape[0]
        self.decoder_heads = nn.ModuleDict(
            {
                name: MimicHead(width, mimic.target_generator.out_channels, mimic.head.distance)
                for name, mimic in self.mimics.items()
            }
        )
        for mimic in self.mimics.values():
            mimic.head.requires_grad_(False)  # the head of visible tokens is not used

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Run one training step; see :meth:`MRMAE.loss`."""
        grid = self.token_grid(images)
        targets = self.compute_targets(images, grid)
        token_mask = self.sample_mask(images, targets)
        encoded = self.backbone.forward_masked(images, token_mask)
        hidden: list[Tensor] = []
        with self.decoder.norm.register_forward_hook(lambda *args: hidden.append(args[2])):
            prediction = self.decoder(
                encoded.tokens, encoded.prefix_tokens, token_mask.ids_restore, grid
            )
        tokens = hidden[0][:, -token_mask.mask.shape[1] :]  # (B, L, D')
        chosen = torch.ones_like(token_mask.mask) if self.on_all else token_mask.mask
        losses = {
            name: self.mimics[name].weight * head(tokens[chosen], targets[name].features[chosen])
            for name, head in self.decoder_heads.items()
        }
        reconstruction = self.head(prediction, images, token_mask.mask)
        return dict(
            loss_rec=self.reconstruction_weight * reconstruction, loss_mimic=sum(losses.values())
        )

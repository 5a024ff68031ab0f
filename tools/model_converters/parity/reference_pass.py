"""Numerical comparison of our models with a reference implementation."""

import json
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from mim_plugins.checkpoints.conversion import convert
from mim_plugins.checkpoints.layouts import MCMAE_AUTHORS, MIXMIM_AUTHORS
from mim_plugins.checkpoints.strict_loading import load_strictly
from mim_plugins.masking import MixedImages, TokenMask, mix, unmix
from mim_plugins.registry import MODELS

from .reference_sizes import mcmae_sizes, mixmim_sizes


def compare_with_reference(
    reference: dict, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> dict[str, float]:
    """Compute the relative errors of loss, latent, reconstruction, features and gradient norms.

    Args:
        reference: result of :func:`read_reference` with ``config``, ``param``, ``input``, masks,
            ``latent``, ``reconstruction``, ``loss``, ``grad_norm`` and, for MixMIM,
            ``finetune_features``.
        device: where the model runs.
        dtype: precision of autocast; float32 for none.

    Returns:
        ``max |ours - reference| / max |reference|`` by name of the quantity.

    Raises:
        ValueError: the weights have an unknown layout or are not finite floats, or entries of the
            config are missing or unknown.
    """
    layout, weights = convert(reference["param"])
    if layout is MIXMIM_AUTHORS:
        model_cfg, run = mixmim_model(reference["config"]), _run_mixmim
    elif layout is MCMAE_AUTHORS:
        model_cfg, run = mcmae_model(reference["config"]), _run_mcmae
    else:
        raise ValueError(f"there is no parity check for checkpoints of {layout.name}")
    model = _load(model_cfg, weights).to(device)
    reference = tree_map_only(Tensor, lambda tensor: tensor.to(device), reference)
    low = dtype != torch.float32
    with torch.autocast(torch.device(device).type, dtype) if low else nullcontext():
        computed = run(model, reference)
    errors = {name: relative_error(ours, reference[name]) for name, ours in computed.items()}
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for name, norm in reference.get("grad_norm", {}).items():
        gradient = gradients.get(str(layout.rename(name)))
        errors[f"grad_norm/{name}"] = (
            float("inf") if gradient is None else relative_error(gradient.norm(), norm)
        )
    return errors


def _load(model_cfg: dict, weights: dict[str, Tensor]) -> Any:
    model = MODELS.build(model_cfg)
    load_strictly(model, weights, "param/...")
    return model.eval()


def _run_mixmim(model: Any, reference: dict) -> dict[str, Tensor]:
    """Compute our numbers for a MixMIM reference; gradients remain in the model."""
    images = reference["input"]
    stride = model.backbone.encoder_stride
    grid = (images.shape[2] // stride, images.shape[3] // stride)
    mask = reference[f"mask_s{len(model.backbone.depths)}"].reshape(-1, *grid) > 0.5
    # the authors mix each image with the one at its place in the reversed batch
    partner = torch.arange(len(images) - 1, -1, -1, device=images.device)
    batch = MixedImages(images, mix(images, mask, partner), mask, partner)

    latent = model.backbone.forward_mixed(batch.mixed, batch.mask)
    pred_own, pred_partner = model.decoder(latent, batch.mask)
    prediction = unmix(pred_own, pred_partner, batch.mask, batch.partner)
    loss = model.head(prediction, batch.images)
    loss.backward()
    reconstruction = torch.cat([pred_own, pred_partner])
    computed = dict(loss=loss, latent=latent, reconstruction=reconstruction)
    if "finetune_features" in reference:
        computed["finetune_features"] = model.backbone(images)[-1].mean(dim=(2, 3))
    return computed


def _run_mcmae(model: Any, reference: dict) -> dict[str, Tensor]:
    """Compute our numbers for an MCMAE reference; gradients remain in the model."""
    images = reference["input"]
    token_mask = TokenMask(reference["ids_keep"], reference["ids_restore"], reference["mask"] > 0.5)
    encoded = model.backbone.forward_masked(images, token_mask)
    reconstruction = model.decoder(
        encoded.tokens, encoded.prefix_tokens, token_mask.ids_restore, model.token_grid(images)
    )
    loss = model.head(reconstruction, images, token_mask.mask)
    loss.backward()
    return dict(loss=loss, latent=encoded.tokens, reconstruction=reconstruction)


def relative_error(ours: Tensor, reference: Tensor) -> float:
    """Return ``max |ours - reference| / max |reference|``, or inf for another shape or a NaN."""
    ours, reference = ours.detach().double(), reference.double()
    if ours.shape != reference.shape:
        return float("inf")
    error = ((ours - reference).abs().max() / reference.abs().max().clamp_min(1e-12)).item()
    return error if error == error else float("inf")


def mixmim_model(text: str) -> dict:
    sizes = mixmim_sizes(json.loads(text))
    return dict(
        type="MixMAE",
        backbone=dict(type="MaskedSwin", **sizes["backbone"]),
        decoder=dict(type="MixMAEDecoder", norm_eps=1e-5, **sizes["decoder"]),
        head=dict(type="PixelHead", **sizes["head"]),
        data_preprocessor=dict(type="MixDataPreprocessor", batch_transform=dict(type="MixImages")),
    )


def mcmae_model(text: str) -> dict:
    sizes = mcmae_sizes(json.loads(text))
    return dict(
        type="MRMAE",
        backbone=dict(type="MaskedConvViT", **sizes["backbone"]),
        decoder=dict(type="MAEDecoder", **sizes["decoder"]),
        head=dict(type="PixelHead", **sizes["head"]),
        data_preprocessor=dict(type="MixDataPreprocessor"),
    )

"""Comparison of our models with the numbers of a reference implementation."""

import json

import torch
from torch import Tensor

from ..registry import MODELS
from ..transforms import MixedImages, mix, unmix
from .layouts import MIXMIM_AUTHORS, convert

# entries of a MixMIM reference's config; those with a value may be left out
_MIXMIM_CONFIG = dict(
    img_size=None,
    embed_dim=None,
    depths=None,
    num_heads=None,
    window_size=None,
    decoder_dim=None,
    decoder_depth=None,
    decoder_num_heads=None,
    patch_size=4,
    mlp_ratio=4.0,
    qkv_bias=True,
    norm_pix_loss=True,
)


def compare_with_reference(reference: dict) -> dict[str, float]:
    """Relative error of our loss, latent, reconstruction, features and gradient norms.

    Args:
        reference: as :func:`read_reference` returns it: ``config``, ``param``, ``input``, masks,
            ``latent``, ``reconstruction``, ``loss``, ``grad_norm`` and ``finetune_features``.

    Returns:
        For each compared quantity max |ours - reference| / max |reference|.

    Raises:
        ValueError: the weights are of an unknown layout, or the config has entries that are
            missing or unknown.
    """
    layout, weights = convert(reference["param"])
    if layout is not MIXMIM_AUTHORS:
        raise ValueError(f"there is no parity check for checkpoints of {layout.name}")
    return _compare_mixmim(reference, weights)


def _compare_mixmim(reference: dict, weights: dict[str, Tensor]) -> dict[str, float]:
    model = MODELS.build(_mixmim_config(reference["config"]))
    model.load_state_dict(weights)
    model.eval()
    images = reference["input"]
    stride = model.backbone.encoder_stride
    grid = (images.shape[2] // stride, images.shape[3] // stride)
    mask = reference[f"mask_s{len(model.backbone.depths)}"].reshape(-1, *grid) > 0.5
    # the authors reverse the batch, for any batch size
    partner = torch.arange(len(images) - 1, -1, -1)
    batch = MixedImages(images, mix(images, mask, partner), mask, partner)

    latent = model.backbone.forward_mixed(batch.mixed, batch.mask)
    from_own, from_partner = model.decoder(latent, batch.mask)
    prediction = unmix(from_own, from_partner, batch.mask, batch.partner)
    loss = model.head(prediction, batch.images)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    errors = {
        "loss": relative_error(loss, reference["loss"]),
        "latent": relative_error(latent, reference["latent"]),
        "reconstruction": relative_error(
            torch.cat([from_own, from_partner]), reference["reconstruction"]
        ),
    }
    if "finetune_features" in reference:
        features = model.backbone(images)[-1].mean(dim=(2, 3))
        errors["finetune_features"] = relative_error(features, reference["finetune_features"])
    for name, norm in reference.get("grad_norm", {}).items():
        gradient = gradients.get(str(MIXMIM_AUTHORS.rename(name)))
        errors[f"grad_norm/{name}"] = (
            float("inf") if gradient is None else relative_error(gradient.norm(), norm)
        )
    return errors


def relative_error(ours: Tensor, reference: Tensor) -> float:
    """max |ours - reference| / max |reference|; infinite for another shape or a NaN."""
    ours, reference = ours.detach().double(), reference.double()
    if ours.shape != reference.shape:
        return float("inf")
    error = ((ours - reference).abs().max() / reference.abs().max().clamp_min(1e-12)).item()
    return error if error == error else float("inf")


def _mixmim_config(text: str) -> dict:
    given = json.loads(text)
    unknown = set(given) - set(_MIXMIM_CONFIG)
    config = _MIXMIM_CONFIG | given
    missing = [key for key, value in config.items() if value is None]
    if unknown or missing:
        raise ValueError(
            f"config of the reference: missing entries {missing}, unknown entries {sorted(unknown)}"
        )
    return dict(
        type="MixMAE",
        backbone=dict(
            type="MaskedSwin",
            arch=dict(
                embed_dims=config["embed_dim"],
                depths=config["depths"],
                num_heads=config["num_heads"],
            ),
            img_size=config["img_size"],
            patch_size=config["patch_size"],
            window_size=config["window_size"],
            mlp_ratio=config["mlp_ratio"],
            qkv_bias=config["qkv_bias"],
        ),
        decoder=dict(
            type="MixMAEDecoder",
            embed_dims=config["decoder_dim"],
            depth=config["decoder_depth"],
            num_heads=config["decoder_num_heads"],
            mlp_ratio=config["mlp_ratio"],
            norm_eps=1e-5,
        ),
        head=dict(type="PixelHead", norm_pix=config["norm_pix_loss"]),
        data_preprocessor=dict(type="MixDataPreprocessor", batch_transform=dict(type="MixImages")),
    )

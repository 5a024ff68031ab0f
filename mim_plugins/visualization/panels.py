"""What a pre-trained model reconstructs, next to what it saw."""

from typing import Any

import torch
from torch import Tensor

from ..algorithms import MRMAE, MixMAE
from .colors import apply_colormap, to_rgb_uint8
from .isolated_eval import isolated_eval
from .similarity import mixture_similarity_maps, similarity_maps

CAPTION = (
    "Reconstructions show visible patches as they are and hidden ones as predicted; where targets"
    " are normalized per patch, with the mean and contrast of the true patch."
)
_SIMILARITY = (
    " Similarity: cosine between the predicted and the teacher's features, 0 or below dark to 1"
    " bright"
)
_HIDDEN = 127  # gray


def reconstruction_panels(model: Any, images: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Pictures of original, input and reconstruction in natural colors, by title.

    Targets that are normalized per patch are undone with the mean and standard deviation of the
    true patch: brightness and contrast of hidden patches are given, not predicted.

    MixMAE gives a row per pair of images: (B + 1) // 2 rows in which each image occurs. MR-MAE
    gives a row per image; with teachers also their similarity to the student, for which every
    token is visible in one of several complementary masks, and, where mimicking is focused, the
    attention that chooses the visible tokens, relative to each image's highest. The model's modes
    and the random generators stay as they were.

    Args:
        model: a :class:`MixMAE` or :class:`MRMAE`.
        images: normalized images (B, C, H, W) of 1 or 3 channels, on the model's device; at least
            2 for MixMAE.
        seed: of masks and mixtures.

    Returns:
        RGB bytes (rows, 3, H, W).

    Raises:
        ValueError: another model, too few images, or images of another number of channels.
    """
    model = getattr(model, "module", model)  # of a distributed wrapper
    check_reconstructs(model)
    with isolated_eval(model, seed):
        return (
            _mixture_panels(model, images)
            if isinstance(model, MixMAE)
            else _masked_panels(model, images)
        )


def check_reconstructs(model: Any) -> None:
    """Raise ValueError if ``model`` is no algorithm that reconstructs images."""
    if not isinstance(model, (MixMAE, MRMAE)):
        raise ValueError(
            f"{type(model).__name__} reconstructs nothing: use the config and the checkpoint of a"
            " pre-training with MixMAE or MRMAE"
        )


def panel_caption(panels: dict[str, Tensor]) -> str:
    """What to write below the panels."""
    has_similarity = any(title.startswith("similarity") for title in panels)
    explained = any("visible tokens" in title for title in panels)
    how = "; every token as seen in one of several complementary masks." if explained else "."
    return CAPTION + (_SIMILARITY + how if has_similarity else "")


def _mixture_panels(model: MixMAE, images: Tensor) -> dict[str, Tensor]:
    batch = model.data_preprocessor.batch_transform(images)
    own, partner = model.reconstruct(batch)
    pictures = {
        "original A": batch.images,
        "original B": batch.images[batch.partner],
        "mixture": batch.mixed,
        "reconstruction A": own,
        "reconstruction B": partner,
    }
    panels = {
        title: to_rgb_uint8(column, model.data_preprocessor) for title, column in pictures.items()
    }
    size = (images.shape[-2], images.shape[-1])
    for name, values in mixture_similarity_maps(model, batch).items():
        panels[f"similarity to {name}"] = apply_colormap(values, 0, 1, size)
    rows = (len(images) + 1) // 2
    return {title: column[:rows].cpu() for title, column in panels.items()}


def _masked_panels(model: MRMAE, images: Tensor) -> dict[str, Tensor]:
    result = model.reconstruct(images)
    original = to_rgb_uint8(images, model.data_preprocessor)
    panels = {
        "original": original,
        "visible": torch.where(result.hidden, _HIDDEN, original),
        "reconstruction": to_rgb_uint8(result.images, model.data_preprocessor),
    }
    size = (images.shape[-2], images.shape[-1])
    for name, values in similarity_maps(model, images).items():
        panels[f"similarity to {name} at visible tokens"] = apply_colormap(values, 0, 1, size)
    if result.attention is not None:
        relative = result.attention / result.attention.amax(dim=(1, 2), keepdim=True)
        panels[f"attention of {model.focus} (focus)"] = apply_colormap(relative, 0, 1, size)
    return {title: column.cpu() for title, column in panels.items()}

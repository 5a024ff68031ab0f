"""Pictures of original, input and reconstruction of a pre-trained model."""

from typing import Any

import torch
from torch import Tensor

from ..algorithms import MRMAE, MixMAE
from ..data_preprocessors import reads_rgb
from .colors import apply_colormap, to_rgb_uint8
from .isolated_eval import isolated_eval
from .similarity import mixture_similarity_maps, similarity_maps

CAPTION = (
    "Reconstructions show visible patches unchanged and masked patches as predicted. If targets"
    " are normalized per patch, masked patches have the mean and contrast of the true patch."
)
_SIMILARITY = (
    " Similarity is the cosine between predicted features and those of the teacher, from 0 or"
    " below (dark) to 1 (bright)"
)
_MASKED = 127  # gray


def reconstruction_panels(model: Any, images: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Return pictures of original, input and reconstruction in RGB, by title.

    Per-patch normalization of targets is undone with the mean and standard deviation of the true
    patch, so brightness and contrast of masked patches are given, not predicted.

    MixMAE yields one row per pair of images, (B + 1) // 2 rows in which each image occurs. MR-MAE
    yields one row per image. With teachers, further panels show the similarity of teacher and
    student features, for which several complementary masks make every token visible once, and,
    with focused mimicking, the attention from which visible tokens are sampled, relative to its
    maximum per image. Modes of the model and random generators are restored.

    Args:
        model: a :class:`MixMAE` or :class:`MRMAE`.
        images: normalized images (B, C, H, W) on the device of the model; at least 2 for MixMAE.
        seed: seed of masks and mixtures.

    Returns:
        RGB bytes (rows, 3, H, W) per title.

    Raises:
        ValueError: another model, or too few images.
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
    """Raise ValueError if ``model`` is not an algorithm that reconstructs images."""
    if not isinstance(model, (MixMAE, MRMAE)):
        raise ValueError(
            f"{type(model).__name__} does not reconstruct images: use the config and the"
            " checkpoint of a pre-training with MixMAE or MRMAE"
        )


def panel_caption(panels: dict[str, Tensor]) -> str:
    """Return the caption of the panels."""
    has_similarity = any(title.startswith("similarity") for title in panels)
    explained = any("visible tokens" in title for title in panels)
    how = ", where each token is visible in one of several masks." if explained else "."
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
    panels = {title: _natural(model, column) for title, column in pictures.items()}
    size = (images.shape[-2], images.shape[-1])
    for name, values in mixture_similarity_maps(model, batch).items():
        panels[f"similarity to {name}"] = apply_colormap(values, 0, 1, size)
    rows = (len(images) + 1) // 2
    return {title: column[:rows].cpu() for title, column in panels.items()}


def _natural(model: Any, images: Tensor) -> Tensor:
    return to_rgb_uint8(images, model.data_preprocessor, is_bgr=not reads_rgb(model))


def _masked_panels(model: MRMAE, images: Tensor) -> dict[str, Tensor]:
    result = model.reconstruct(images)
    original = _natural(model, images)
    panels = {
        "original": original,
        "visible": torch.where(result.masked, _MASKED, original),
        "reconstruction": _natural(model, result.images),
    }
    size = (images.shape[-2], images.shape[-1])
    for name, values in similarity_maps(model, images).items():
        panels[f"similarity to {name} at visible tokens"] = apply_colormap(values, 0, 1, size)
    if result.attention is not None:
        relative = result.attention / result.attention.amax(dim=(1, 2), keepdim=True)
        panels[f"attention of {model.focus_teacher} (focus)"] = apply_colormap(relative, 0, 1, size)
    return {title: column.cpu() for title, column in panels.items()}

"""Pictures of a pre-trained model's reconstructions."""

from typing import Any

from torch import Tensor

from ..visualization import reconstruction_panels
from ..visualization.panels import check_reconstructs
from .inputs import central_pipeline, model_inputs
from .pixels import Images


def reconstruct(model: Any, images: Images, seed: int = 0) -> dict[str, Tensor]:
    """Mask images, or mix them pairwise, and reconstruct them.

    Images are resized to the backbone's ``img_size`` and center-cropped.

    Args:
        model: MixMAE or MRMAE with pre-trained weights, see :func:`get_model`.
        images: see :func:`extract_features`; at least two for MixMAE.
        seed: seed of masks and mixtures.

    Returns:
        8-bit RGB pictures (rows, 3, H, W) in natural colors by title, such as ``'original'``,
        ``'visible'``, ``'reconstruction'``; see :func:`reconstruction_panels`.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: the model reconstructs nothing, there are too few images, or an image cannot be
            read.
    """
    check_reconstructs(model)
    samples = central_pipeline(model, model.backbone.img_size)(images)
    return reconstruction_panels(model, model_inputs(model, samples), seed)

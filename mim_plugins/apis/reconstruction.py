"""Pictures of what a pre-trained model reconstructs."""

from typing import Any

from torch import Tensor

from ..visualization import reconstruction_panels
from ..visualization.panels import check_reconstructs
from .inputs import central_pipeline, model_inputs
from .pixels import Images


def reconstruct(model: Any, images: Images, seed: int = 0) -> dict[str, Tensor]:
    """Mask images, or mix them pairwise, and reconstruct what is hidden.

    Images are resized to the backbone's ``img_size`` and cropped in their center.

    Args:
        model: MixMAE or MRMAE with the weights of a pre-training, as :func:`get_model` returns
            it.
        images: see :func:`extract_features`; at least two for MixMAE.
        seed: of masks and mixtures.

    Returns:
        RGB bytes (rows, 3, H, W) in natural colors by title, such as ``'original'``,
        ``'visible'``, ``'reconstruction'``; see :func:`reconstruction_panels`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a model that reconstructs nothing, too few images, or one that cannot be read.
    """
    check_reconstructs(model)
    samples = central_pipeline(model, max(model.backbone.img_size))(images)
    return reconstruction_panels(model, model_inputs(model, samples), seed)

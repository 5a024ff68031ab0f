"""Trial of a batch of one image, which batch normalization may reject."""

from contextlib import suppress
from typing import Any

from mmengine.dataset import pseudo_collate
from torch import nn
from torch.utils.data import DataLoader

from ..visualization import isolated_eval
from .image_check import read_samples

_REFUSAL = "more than 1 value per channel"  # in the error of torch.nn.functional.batch_norm


def rejects_one_image(model: nn.Module, loader: DataLoader) -> bool | None:
    """Return whether the model's batch normalization rejects a batch of one image.

    A feature map of several pixels can be normalized alone, but not one pixel or a vector. One
    image passes through the model in training mode; module modes and statistics are preserved.

    Args:
        model: model without distributed wrapper.
        loader: training loader.

    Returns:
        True or False, or None if the trial is not possible.
    """
    if not any(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in model.modules()):
        return False
    samples = read_samples(loader.dataset, "train_dataloader", 1)
    preprocessor: Any = getattr(model, "data_preprocessor", None)
    if not samples or preprocessor is None:
        return None
    collate = getattr(loader, "collate_fn", None) or pseudo_collate
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    outcome = None
    with suppress(Exception), isolated_eval(model, 0):  # other errors are left to other checks
        model.train()
        try:
            model(**preprocessor(collate(samples), training=True), mode="loss")
            outcome = False
        except ValueError as error:
            outcome = True if _REFUSAL in str(error) else None
    for buffer, before in kept:
        buffer.copy_(before)
    return outcome

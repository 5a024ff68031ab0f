"""Preparation of images for a model by its config's transforms and its data preprocessor."""

from collections.abc import Sequence
from typing import Any

from mmengine.dataset import default_collate, pseudo_collate
from torch import Tensor, nn

from ..backbones.base_backbone import BaseBackbone
from ..checkpoints.description import Preprocessing
from ..data_preprocessors import preprocess_for, reverses_files, run_config
from ..datasets.pipelines import check_not_normalized, pipelines_of
from ..datasets.wrappers import loading_bands
from ..errors import ConfigError
from ..registry import SCOPE
from ..transforms import PackInputs
from ..transforms.center_crop import center_crop
from .image_pipeline import ImagePipeline

_COLORS = 3


def evaluation_pipeline(model: Any) -> ImagePipeline:
    """Build the test pipeline of the config that :func:`get_model` built ``model`` from.

    It is the pipeline of the test data, or else of the validation data. For models without either,
    as in pre-training, it is that of :func:`central_pipeline`. An :class:`Encoder` has its own.

    Raises:
        ConfigError: the pipeline cannot be built, is not supported or differs between data sets.
    """
    if isinstance(getattr(model, "preprocessing", None), Preprocessing):
        return _described_pipeline(model)
    cfg = run_config(model)
    for key in ("test_dataloader", "val_dataloader"):
        if cfg.get(key) is None:
            continue
        pipelines = list(pipelines_of(cfg[key]))
        if not pipelines or any(pipeline != pipelines[0] for pipeline in pipelines):
            raise ConfigError(
                f"{key} has {len(pipelines)} different pipelines; give its data sets the same one"
            )
        return ImagePipeline(pipelines[0], _scope(cfg), f"the pipeline of {key}")
    return central_pipeline(model)


def central_pipeline(model: Any, resize: int | Sequence[int] | None = None) -> ImagePipeline:
    """Build the pipeline that resizes images and crops their center to the backbone's size.

    Files are read with ``bands`` of the training data, if they have it. Otherwise, for a backbone
    with one input channel, 8-bit images are converted to gray.

    Args:
        model: a model with ``backbone`` and ``data_preprocessor``.
        resize: see :func:`center_crop`.

    Raises:
        ConfigError: the training pipeline normalizes, see :func:`check_not_normalized`.
    """
    check_not_normalized(run_config(model).get("train_dataloader"), "train_dataloader")
    img_size = getattr(model.backbone, "img_size", 224)
    *steps, _ = center_crop(img_size, resize, **_reading(model))
    return _pipeline(model, steps, "the pipeline of a center crop")


def loading_pipeline(model: Any) -> ImagePipeline:
    """Build the pipeline that loads images for a model and keeps their size."""
    loader, *_ = center_crop(1, **_reading(model))
    return _pipeline(model, [loader], "the pipeline of loading")


def _described_pipeline(model: Any) -> ImagePipeline:
    given: Preprocessing = model.preprocessing
    resizing = (given.size, given.resize, given.interpolation, given.backend)
    *steps, _ = center_crop(*resizing, **_reading(model))
    return _pipeline(model, steps, "the described preprocessing")


def _pipeline(model: Any, steps: list[dict], name: str) -> ImagePipeline:
    """Build a pipeline of ``steps``, which load and resize, in the model's order of colors."""
    loader, *others = steps
    before = [_reverse_channels] if reverses_files(model) else []
    # not mmpretrain's PackInputs, because pre-training does not import mmpretrain
    transforms: list[Any] = [loader, *before, *others, PackInputs()]
    return ImagePipeline(transforms, SCOPE, name)


def _reading(model: Any) -> dict[str, Any]:
    """Return ``bands`` and ``channels`` with which a model's images are read."""
    given = getattr(model, "preprocessing", None)
    if isinstance(given, Preprocessing):
        return dict(bands=given.bands, channels=given.channels)
    training = run_config(model).get("train_dataloader") or {}
    channels = input_channels(model.backbone)
    return dict(bands=loading_bands(training.get("dataset")), channels=channels)


def model_inputs(model: Any, samples: Sequence[dict]) -> Tensor:
    """Collate and preprocess a pipeline's samples to inputs (B, C, H, W) of the model.

    They have the device and the precision of its parameters. Images of different sizes are padded.
    """
    batch = (default_collate if are_one_size(samples) else pseudo_collate)(samples)
    return preprocess_for(model, model.data_preprocessor, batch)


def are_one_size(samples: Sequence[dict]) -> bool:
    """Return whether all samples have one size, so they can be batched without padding."""
    return len({sample["inputs"].shape for sample in samples}) == 1


def _scope(cfg: Any) -> str:
    return cfg.get("default_scope") or "mmpretrain"


def input_channels(backbone: nn.Module) -> int:
    """Return ``in_channels`` of a backbone, or else those of its first convolution."""
    if isinstance(backbone, BaseBackbone):
        return backbone.in_channels
    first = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    return _COLORS if first is None else first.in_channels


def _reverse_channels(results: dict) -> dict:
    image = results["img"]
    is_color = image.ndim == 3 and image.shape[2] == _COLORS
    return dict(results, img=image[..., ::-1]) if is_color else results

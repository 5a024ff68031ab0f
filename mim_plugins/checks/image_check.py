"""Checks of the images of data sets against the model."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..algorithms import MRMAE, MixMAE, PretrainingModel
from ..algorithms.dependent_parts import check_statistics
from ..backbones import HierarchicalBackbone, PlainBackbone
from ..datasets.pipelines import check_not_normalized
from ..datasets.wrappers import base_datasets
from ..errors import ConfigError, CorruptImageError
from ..file_names import printable
from ..randomness import preserved_random_state
from ..sampling import evenly_spaced
from ..visualization import isolated_eval
from .head_classes import HeadClasses, has_base_named, head_classes, ignored_labels
from .pixel_range_check import check_pixel_range, check_teacher_colors, check_teacher_range

_SAMPLES = 8
_IGNORED = 255
_SMALLEST_SQUARE = 256  # smaller divisors align images with strides
_TRAINING = "train_dataloader"


def check_images(
    model: Any, datasets: Mapping[str, Any], has_teachers: bool | None = None
) -> list[str]:
    """Check samples of each data set, evenly spaced, against the model.

    Args:
        model: model without distributed wrapper.
        datasets: built data sets by config field.
        has_teachers: whether teachers read the images; None if the model contains them.

    Returns:
        Warnings, one line each.

    Raises:
        ConfigError: the channels of images, backbone and preprocessor disagree, an image size does
            not fit a pre-training, a standard deviation is 0, teachers get BGR or other values
            than those of 8-bit images, or the pipeline of a pre-training normalizes.
    """
    backbone = getattr(model, "backbone", None)
    preprocessor = getattr(model, "data_preprocessor", None)
    heads = head_classes(model)
    if has_teachers is None:
        has_teachers = bool(getattr(model, "mimics", None))
    warnings = []
    for field, dataset in datasets.items():
        if isinstance(model, PretrainingModel):
            check_not_normalized(dataset, field)
        samples = read_samples(dataset, field)
        check_channels(backbone, preprocessor, field, samples)
        images = [image for sample in samples for image in _tensors(sample["inputs"])]
        warnings.append(check_pixel_range(preprocessor, field, images))
        if has_teachers:
            check_teacher_range(field, images)
            check_teacher_colors(preprocessor, field, dataset)
        if all(isinstance(sample["inputs"], Tensor) for sample in samples):
            divisor = getattr(preprocessor, "pad_size_divisor", 1)
            sizes = {
                tuple(-(-side // divisor) * divisor for side in sample["inputs"].shape[-2:])
                for sample in samples
            }
            warnings.append(_check_sizes(model, field, sorted(sizes)))
            largest = max((max(each["inputs"].shape[-2:]) for each in samples), default=0)
            warnings.append(_check_square(field, largest, divisor))
        ignored = ignored_labels(model) if heads else set()
        for head in heads:
            found = (
                _check_labels(field, each.get("data_samples"), head, ignored) for each in samples
            )
            warnings.append(next(filter(None, found), None))
    return list(filter(None, warnings))


def _check_square(field: str, largest: int, divisor: int) -> str | None:
    """Return a warning if images exceed the square to which ``pad_size_divisor`` pads them."""
    if divisor < _SMALLEST_SQUARE or largest <= divisor:
        return None
    return (
        f"{field}: images with sides of {largest} pixels exceed pad_size_divisor={divisor}, so they"
        f" are padded to {-(-largest // divisor) * divisor}; set the size of the pipeline's"
        " transforms and data_preprocessor.pad_size_divisor to the same number"
    )


def check_channels(backbone: Any, preprocessor: Any, field: str, samples: Sequence[dict]) -> None:
    """Check the channels of samples against our backbones and the data preprocessor.

    Other backbones are covered by :func:`try_first_batch`.

    Raises:
        ConfigError: images, preprocessor and backbone disagree.
    """
    if not _is_own(backbone):
        return
    channels, mean = backbone.in_channels, getattr(preprocessor, "mean", None)
    try:
        check_statistics(type(backbone).__name__, preprocessor, channels)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    # normalization with one value per color converts grayscale images to RGB
    accepted = {channels} | ({1} if mean is not None and mean.numel() == channels else set())
    for image in (each for sample in samples for each in _tensors(sample["inputs"])):
        if image.shape[0] not in accepted:
            raise ConfigError(
                f"{field}: images have {image.shape[0]} channels, but backbone.in_channels="
                f"{channels}; set model.backbone.in_channels={image.shape[0]} and as many values in"
                " data_preprocessor.mean and std, or change bands or color_type of the"
                " loading transform"
            )


def read_samples(dataset: Any, field: str, count: int = _SAMPLES) -> list[dict]:
    """Return evenly spaced samples with ``inputs``, preserving the random state.

    Args:
        dataset: built data set; one of videos gives no samples, because each may be a whole video.
        field: config field of the data set, for messages.
        count: number of samples.

    Raises:
        ConfigError: a sample cannot be loaded.
        CorruptImageError: a transform of this package cannot decode an image.
    """
    has_videos = any(has_base_named(each, "BaseVideoDataset") for each in base_datasets(dataset))
    if has_videos or not hasattr(dataset, "__len__"):
        return []
    with preserved_random_state(cuda=False):
        samples = [
            _read_sample(dataset, field, index) for index in evenly_spaced(len(dataset), count)
        ]
    return [each for each in samples if isinstance(each, dict) and "inputs" in each]


def _read_sample(dataset: Any, field: str, index: int) -> Any:
    try:
        return dataset[index]
    except (ConfigError, CorruptImageError):
        raise
    except Exception as error:  # transforms raise exceptions of any kind
        info = dataset.get_data_info(index) if hasattr(dataset, "get_data_info") else None
        path = info.get("img_path") if isinstance(info, dict) else None
        named = f" ('{printable(path)}')" if path else ""
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigError(
            f"{field}.dataset: sample {index}{named} does not pass through the pipeline ({cause});"
            " correct the pipeline, or the image if it cannot be read"
        ) from error


def try_first_batch(model: Any, dataset: Any) -> None:
    """Pass two training images through the model, without gradients or side effects.

    Raises:
        ConfigError: parts of the model are incompatible with each other or with the images.
    """
    pretrains = isinstance(model, (MixMAE, MRMAE))
    if not pretrains and not has_base_named(model, "ImageClassifier"):
        return  # other models may update state with every batch
    samples = read_samples(dataset, _TRAINING, 2)
    if not samples or not all(isinstance(each["inputs"], Tensor) for each in samples):
        return
    # the data set may contain a single image
    images = [sample["inputs"] for sample in samples * 2][:2]
    try:
        with isolated_eval(model, 0):
            batch = model.data_preprocessor(dict(inputs=images), training=pretrains)
            model(batch["inputs"], mode="loss" if pretrains else "tensor")
    except torch.cuda.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        raise ConfigError(
            f"the first training images do not pass through {type(model).__name__}:"
            f" {' '.join(str(error).split())}"
        ) from error


def _is_own(backbone: Any) -> bool:
    return isinstance(backbone, (HierarchicalBackbone, PlainBackbone))


def _tensors(inputs: Any) -> list[Tensor]:
    """Return all images of a sample, including views and test-time augmentations."""
    if isinstance(inputs, Tensor):
        return [inputs] if inputs.ndim == 3 else []
    if isinstance(inputs, (list, tuple)):
        return [image for each in inputs for image in _tensors(each)]
    return []


def _check_sizes(model: Any, field: str, sizes: Sequence[tuple[int, ...]]) -> str | None:
    """Compare sizes with ``img_size``; return a warning if a difference may be intended.

    Classifiers pad the images of a batch and interpolate position embeddings.
    """
    expected = getattr(getattr(model, "backbone", None), "img_size", None)
    pretrains = isinstance(model, PretrainingModel)
    if not isinstance(expected, (tuple, list)) or not (
        pretrains or has_base_named(model, "BaseClassifier")
    ):
        return None
    others = [size for size in sizes if size != tuple(expected)]
    if not others:
        return None
    text = (
        f"{field}: images are {' and '.join(f'{h}x{w}' for h, w in others[:3])} pixels (height x"
        f" width), but model.backbone.img_size={tuple(expected)} (height, width)"
    )
    if tuple(reversed(expected)) in others and len(sizes) == 1:
        text += (
            ": height and width are swapped; most transforms take scale or crop_size as"
            " (width, height), but some as (height, width)"
        )
    elif len(sizes) > 1:
        text += ", and their sizes differ; end the pipeline with a crop or resize to one size"
    else:
        text += "; set model.backbone.img_size to the pipeline's size, or change the pipeline"
    if pretrains and field == _TRAINING:
        raise ConfigError(text)
    return text


def _check_labels(field: str, sample: Any, head: HeadClasses, ignored: set[int]) -> str | None:
    """Return a warning if a label of pixels or objects in a sample has no class in the head."""
    if not head.exact or sample is None:
        return None
    allowed = f"{head.name}.num_classes={head.classes} allows 0 to {head.classes - 1}"
    # panoptic samples have both; their heads of objects have fewer classes than pixels
    if "gt_instances" in sample and "labels" in sample.gt_instances:
        labels, path = sample.gt_instances.labels, sample.get("img_path")
        advice = f"{allowed}; set num_classes, or correct the annotations"
    elif "gt_sem_seg" in sample:
        labels, path = sample.gt_sem_seg.data.flatten(), sample.get("seg_map_path")
        ignored = ignored or {_IGNORED}
        advice = (
            f"{allowed}, and {' or '.join(map(str, sorted(ignored)))} for ignored pixels; set"
            " num_classes, or reduce_zero_label of the data set if label 0 means no class in its"
            " files"
        )
    else:
        return None
    wrong = [each for each in labels.unique().tolist() if not 0 <= each < head.classes]
    first = next((label for label in wrong if label not in ignored), None)
    return None if first is None else f"{field}: '{path}' has the label {first}, but {advice}"

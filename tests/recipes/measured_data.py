"""Pipelines, normalization and labels of a built recipe."""

import numpy as np
import torch
from torch import nn


def train(recipe, expected):
    return _attributes(recipe.train, expected)


def test(recipe, expected):
    return _attributes(recipe.test, expected)


def _attributes(transforms, expected):
    """Names of the transforms, with those of their attributes that ``expected`` has."""
    found = []
    for index, transform in enumerate(transforms):
        wanted = expected[index][1] if index < len(expected) else {}
        values = {key: getattr(transform, key, None) for key in wanted}
        found.append((type(transform).__name__, values))
    return found


def color_ranges(recipe):
    """Range of magnitudes of each operation of RandAugment."""
    augment = _named(recipe.train, "RandAugment")
    return {
        type(each).__name__: getattr(each, "magnitude_range", None) for each in augment.transforms
    }


def erased_type(recipe):
    """Type of the pixels that RandomErasing fills in."""
    image = np.zeros((32, 32, 3), np.uint8)
    return str(_named(recipe.train, "RandomErasing")._fill_pixels(image, 0, 0, 4, 4).dtype)


def _named(transforms, name):
    return next(each for each in transforms if type(each).__name__ == name)


def mixing(recipe):
    """Alpha of Mixup and CutMix, and their probabilities, None for equal ones."""
    augments = getattr(recipe.model.data_preprocessor, "batch_augments", None)
    if augments is None or isinstance(augments, nn.ModuleList):
        return None
    kinds = [each for each in augments.augments if each is not None]
    return ({type(each).__name__: each.alpha for each in kinds}, augments.probs) if kinds else None


def normalization(recipe):
    """Mean and std as the model sees them, and the order of its channels for BGR images."""
    black, blue = torch.zeros(2, 1, 3, 32, 32, dtype=torch.uint8)
    blue[:, 0] = 255
    zero, one, white = (_normalized(recipe, image) for image in (black, blue, black + 255))
    std = 255 / (white - zero)
    order = {0: "BGR", 2: "RGB"}[int((one - zero).argmax())]
    return _rounded(-zero * std), _rounded(std), order


def _normalized(recipe, image):
    batch = dict(inputs=[image[0]], data_samples=None)
    kind = type(recipe.preprocessor).__name__
    if kind in ("SelfSupDataPreprocessor", "MixDataPreprocessor", "ClsDataPreprocessor"):
        batch = dict(inputs=image, data_samples=None)
    elif kind == "TwoNormDataPreprocessor":
        batch = dict(inputs=[image, image], data_samples=None)
    inputs = recipe.preprocessor(batch)["inputs"]
    return (inputs[0] if isinstance(inputs, list) else inputs)[0, :, 0, 0]


def _rounded(values):
    return [round(value, 2) for value in values.tolist()]


def padded(recipe):
    """Sizes of an image of 640 x 1000 pixels in training, of its masks, and in tests."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    masks = BitmapMasks(np.ones((1, 640, 1000), np.uint8), 640, 1000)
    sample = DetDataSample(
        gt_instances=InstanceData(masks=masks), metainfo=dict(img_shape=(640, 1000))
    )
    image = torch.zeros(3, 640, 1000, dtype=torch.uint8)
    training, testing = (
        recipe.preprocessor(dict(inputs=[image], data_samples=[sample]), training=mode)
        for mode in (True, False)
    )
    masks = training["data_samples"][0].gt_instances.masks.masks
    return training["inputs"].shape[-2:], masks.shape[-2:], testing["inputs"].shape[-2:]

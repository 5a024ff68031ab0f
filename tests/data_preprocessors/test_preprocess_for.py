import pytest
import torch
from torch import nn

from mim_plugins.data_preprocessors import MixDataPreprocessor, place_of, preprocess_for


def preprocessor():
    return MixDataPreprocessor(mean=[1.0], std=[2.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_images_have_the_precision_of_the_module(dtype):
    module = nn.Linear(2, 2).to(dtype)
    images = preprocess_for(module, preprocessor(), dict(inputs=torch.full((2, 3, 4, 4), 5.0)))
    assert torch.equal(images, torch.full((2, 3, 4, 4), 2.0, dtype=dtype))


def test_preprocessor_and_images_follow_the_module_to_its_device():
    given = preprocessor()
    images = preprocess_for(
        nn.Linear(2, 2, device="meta"), given, dict(inputs=torch.ones(2, 3, 4, 4))
    )
    assert images.is_meta
    assert given.device.type == "meta"


def test_images_of_several_sizes_are_padded():
    def unchanged(batch, training):
        assert not training
        return batch

    images = [torch.ones(3, 4, 6), torch.ones(3, 5, 2)]
    padded = preprocess_for(nn.Linear(2, 2), unchanged, dict(inputs=images))
    assert padded.shape == (2, 3, 5, 6)
    assert padded.sum() == sum(image.sum() for image in images)


def test_without_parameters_buffers_have_the_place():
    assert place_of(nn.BatchNorm1d(2, affine=False).double()) == (torch.device("cpu"), torch.double)
    assert place_of(nn.Identity()) == (torch.device("cpu"), torch.float32)

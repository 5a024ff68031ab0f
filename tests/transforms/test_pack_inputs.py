import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from mim_plugins.registry import TRANSFORMS
from mim_plugins.transforms import PackInputs


@pytest.mark.parametrize("shape", [(4, 6, 3), (4, 6, 1), (4, 6, 13), (4, 6)])
@pytest.mark.parametrize("order", ["rows", "planes", "mirrored"])
def test_image_becomes_a_contiguous_tensor_of_planes(shape, order):
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    if order == "planes":
        image = np.asfortranarray(image)
    if order == "mirrored":
        image = image[:, ::-1]
    inputs = PackInputs()(dict(img=image))["inputs"]
    assert inputs.is_contiguous()
    assert inputs.shape == (*([1] if len(shape) == 2 else [shape[2]]), 4, 6)
    assert inputs.dtype == torch.uint8
    for channel in range(len(inputs)):
        expected = image if image.ndim == 2 else image[..., channel]
        assert np.array_equal(inputs[channel].numpy(), expected)


def test_metadata_is_kept_and_nothing_else():
    results = dict(
        img=np.zeros((2, 2, 3), np.uint8), img_path="a.jpg", flip=True, gt_label=3, other=1
    )
    sample = PackInputs()(results)["data_samples"]
    assert isinstance(sample, BaseDataElement)
    assert sample.metainfo == dict(img_path="a.jpg", flip=True)
    assert PackInputs(["other"])(results)["data_samples"].metainfo == dict(other=1)


def test_same_tensor_and_metadata_as_mmpretrains_transform():
    theirs = pytest.importorskip("mmpretrain.datasets.transforms").PackInputs()
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    results = dict(img=image, img_path="a.jpg", img_shape=(5, 7), ori_shape=(9, 9), sample_idx=4)
    ours, peers = PackInputs()(results), theirs(results)
    assert torch.equal(ours["inputs"], peers["inputs"])
    assert ours["data_samples"].metainfo == peers["data_samples"].metainfo


def test_a_pipeline_without_loading_is_an_error():
    with pytest.raises(KeyError, match="PackInputs: the sample has no 'img'"):
        PackInputs()(dict(img_path="a.jpg"))


def test_is_found_by_name_in_the_scope_of_this_package():
    assert TRANSFORMS.get("PackInputs") is PackInputs

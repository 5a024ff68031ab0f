import copy
import pickle

import numpy as np
import pytest
import torch
from gpu_model import simulated_gpu
from mmengine.model import BaseDataPreprocessor
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.structures import DataSample

from mim_plugins.data_preprocessors import copy_without_waiting

AUGMENTS = [dict(type="Mixup", alpha=0.8), dict(type="CutMix", alpha=1.0)]


def preprocessor(augment):
    return ClsDataPreprocessor(
        mean=[1.0, 2, 3], std=[4.0, 5, 6], num_classes=5, to_rgb=True,
        batch_augments=dict(augments=[augment]),
    )  # fmt: skip


def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    samples = [DataSample().set_gt_label(label) for label in (0, 4, 2, 2)]
    return dict(inputs=images, data_samples=samples)


def preprocessed(process):
    """Return images, labels and the next random numbers."""
    torch.manual_seed(0)
    np.random.seed(0)
    result = process(batch(), training=True)
    scores = torch.stack([sample.gt_score for sample in result["data_samples"]])
    return [result["inputs"], scores, torch.rand(1), torch.tensor(np.random.rand())]


@pytest.mark.parametrize("augment", AUGMENTS, ids=lambda x: x["type"])
def test_images_labels_and_mixing_are_equal(augment):
    expected = preprocessed(preprocessor(augment))
    process = preprocessor(augment)
    copy_without_waiting(process)
    found = preprocessed(process)
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))
    for other in (copy.deepcopy(process), pickle.loads(pickle.dumps(process))):
        assert other.forward.args[0] is other
        assert torch.equal(preprocessed(other)[0], expected[0])


@pytest.mark.parametrize("augment", AUGMENTS, ids=lambda x: x["type"])
def test_the_host_waits_for_no_copy(augment):
    process = preprocessor(augment)
    with simulated_gpu() as gpu:
        process.to("meta")
        gpu.trace.reset()
        process(batch(), training=True)
        assert len(gpu.trace.waits) == 4
        gpu.trace.reset()
        copy_without_waiting(process)
        process(batch(), training=True)
        assert gpu.trace.waits == []


def test_other_preprocessors_copy_images_without_waiting():
    process = BaseDataPreprocessor()
    copy_without_waiting(process)
    assert process._non_blocking
    copy_without_waiting(torch.nn.Identity())

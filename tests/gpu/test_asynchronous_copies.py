"""Batches of fine-tuning on a GPU equal those of blocking copies."""

import numpy as np
import pytest
import torch
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.structures import DataSample

from mim_plugins.data_preprocessors import copy_without_waiting

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("augment", ["Mixup", "CutMix"])
def test_images_labels_and_mixing_are_equal_on_a_gpu(cuda, augment):
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    results = []
    for is_asynchronous in (False, True):
        augments = [dict(type=augment, alpha=0.8)]
        process = ClsDataPreprocessor(num_classes=9, batch_augments=dict(augments=augments))
        process.to(cuda)
        if is_asynchronous:
            copy_without_waiting(process)
        torch.manual_seed(0)
        np.random.seed(0)
        samples = [DataSample().set_gt_label(label % 9) for label in range(64)]
        result = process(dict(inputs=images.pin_memory(), data_samples=samples), training=True)
        results.append((result["inputs"], torch.stack([x.gt_score for x in samples])))
    for found, expected in zip(*results, strict=True):
        assert torch.equal(found, expected)

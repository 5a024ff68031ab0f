from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mim_plugins.engine.batch_images import images_in, images_per_batch

IMAGES = torch.zeros(3, 1, 2, 2)


@pytest.mark.parametrize(
    ("batch", "images"),
    [
        (dict(inputs=IMAGES), 3),
        (dict(inputs=list(IMAGES), data_samples=[1, 2, 3]), 3),
        (dict(inputs=[IMAGES, IMAGES], data_samples=[1, 2, 3]), 3),  # two views of each image
        (dict(inputs=[IMAGES, IMAGES]), 3),
        (dict(inputs=[1, 2, 3], data_samples=None), 3),
        (dict(name="a", index=torch.tensor(0), label=torch.zeros(3)), 3),
        (dict(inputs=dict(labeled=[1, 2, 3], unlabeled=[1, 2, 3])), 3),
        (dict(data_samples=dict(labeled=[1, 2, 3])), 3),
        ((IMAGES, torch.zeros(3)), 3),
        ([IMAGES, torch.zeros(3)], 3),
        ([dict(inputs=IMAGES[0])] * 3, 3),
        (IMAGES, 3),
        (torch.tensor(1), None),
        (None, None),
        ({}, None),
        ([], 0),
    ],
)
def test_images_of_a_batch_are_counted(batch, images):
    assert images_in(batch) == images


@pytest.mark.parametrize(
    ("own", "inner", "images"),
    [(4, 2, 4), (None, 2, 2), (None, None, None), (None, [2, 3], None), ([2], 2, None),
     (np.int64(4), None, 4)],
)  # fmt: skip
def test_size_of_batches_is_one_number_or_unknown(own, inner, images):
    loader = SimpleNamespace(batch_size=own, batch_sampler=SimpleNamespace(batch_size=inner))
    assert images_per_batch(loader) == images
    assert images_per_batch(SimpleNamespace(batch_sampler=SimpleNamespace())) is None

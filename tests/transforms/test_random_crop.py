from types import SimpleNamespace

import numpy as np
import pytest

from mim_plugins.transforms.random_crop import sample_crop_box

SHAPES = [(375, 500), (500, 375), (32, 32), (20, 900), (900, 20), (1, 1), (3, 2), (1, 700)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("areas", [(0.2, 1.0), (0.08, 1.0), (1.0, 1.0), (0.01, 0.02)])
@pytest.mark.parametrize("ratios", [(3 / 4, 4 / 3), (1.0, 1.0), (0.2, 5.0)])
def test_boxes_are_those_of_mmpretrain_for_one_seed(shape, areas, ratios):
    transforms = pytest.importorskip("mmpretrain.datasets.transforms")
    theirs = transforms.RandomResizedCrop(8, areas, ratios)
    for seed in range(20):
        np.random.seed(seed)
        expected = theirs.rand_crop_params(SimpleNamespace(shape=shape))
        state = np.random.random()
        np.random.seed(seed)
        box = sample_crop_box(*shape, areas, ratios)
        assert np.random.random() == state  # as many numbers were drawn
        if min(expected[2:]) > 0:
            assert tuple(box) == tuple(expected)


@pytest.mark.parametrize("shape", [*SHAPES, (1, 20_000), (20_000, 1)])
def test_boxes_lie_within_the_image_and_are_not_empty(shape):
    np.random.seed(0)
    for _ in range(200):
        box = sample_crop_box(*shape, (0.2, 1.0), (3 / 4, 4 / 3))
        assert box.height >= 1
        assert box.width >= 1
        assert 0 <= box.top <= shape[0] - box.height
        assert 0 <= box.left <= shape[1] - box.width


def test_areas_are_uniform_over_the_range():
    np.random.seed(0)
    shares = []
    for _ in range(2000):
        box = sample_crop_box(1000, 1000, (0.2, 0.6), (1.0, 1.0))
        shares.append(box.height * box.width / 1e6)
    counts, _ = np.histogram(shares, bins=4, range=(0.2, 0.6))
    assert counts.sum() > 1990
    assert counts.min() > 420

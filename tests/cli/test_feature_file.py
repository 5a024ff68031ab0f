"""Features of image files, also if some images cannot be used."""

import numpy as np
import pytest
import torch

from mim_plugins.cli import feature_file
from mim_plugins.errors import CorruptImageError, DataNotFoundError


class Found:
    """Features of images whose names are numbers."""

    def __init__(self, images):
        self.pooled = torch.tensor([[float(image)] for image in images])


@pytest.fixture(autouse=True)
def numbered(monkeypatch):
    """Make an image's feature its name; those called 'bad' fail, alone and in a batch."""

    def extract(model, images):
        if "bad" in images:
            raise CorruptImageError("corrupt image 'bad': too large")
        return Found(images)

    monkeypatch.setattr(feature_file, "extract_features", extract)


def test_unusable_image_does_not_affect_the_others_of_its_batch():
    features, names, errors = feature_file.compute_features(None, ["1", "2", "bad", "3", "4"], 2)
    assert names == ["1", "2", "3", "4"]
    np.testing.assert_array_equal(features, [[1], [2], [3], [4]])
    assert errors == ["corrupt image 'bad': too large"]


def test_no_usable_image_is_an_error():
    with pytest.raises(DataNotFoundError, match="too large"):
        feature_file.compute_features(None, ["bad"], 2)

"""Features batch by batch."""

import numpy as np
import pytest
import torch
from described_encoders import encoder_of

from mim_plugins.apis.feature_batches import feature_batches
from mim_plugins.apis.image_source import ImageSource
from mim_plugins.apis.inputs import evaluation_pipeline, model_inputs
from mim_plugins.errors import CorruptImageError
from mim_plugins.masking import TokenMask


def test_cls_is_the_token_after_the_last_norm():
    encoder = encoder_of("vit")
    image = torch.rand(1, 3, 107, 107)
    (batch,) = feature_batches(encoder, ImageSource(image), with_cls=True)
    inputs = model_inputs(encoder, evaluation_pipeline(encoder)(image))
    visible = torch.arange(36)[None]
    mask = TokenMask(visible, visible, torch.zeros(1, 36, dtype=torch.bool))
    expected = encoder.backbone.forward_masked(inputs, mask).prefix_tokens[:, 0]
    torch.testing.assert_close(batch.cls, expected.detach())


def test_corrupt_images_are_recorded_or_an_error():
    images = [np.zeros((40, 40, 3), np.uint8), b"x", np.ones((50, 40), np.uint8), b""]
    encoder, corrupt = encoder_of("pvt"), {}
    batches = list(feature_batches(encoder, ImageSource(images), 2, corrupt=corrupt))
    assert [batch.indices for batch in batches] == [[0], [2]]
    assert sorted(corrupt) == [1, 3]
    assert "images[1]" in corrupt[1]
    with pytest.raises(CorruptImageError, match=r"images\[1\]"):
        list(feature_batches(encoder, ImageSource(images), 2))


def test_values_that_are_no_images_name_their_position():
    images = [np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), -1.0)]
    with pytest.raises(ValueError, match=r"images\[1\]: float64 from -1"):
        list(feature_batches(encoder_of("pvt"), ImageSource(images), 1, corrupt={}))
    with pytest.raises(ValueError, match="batch_size=0"):
        list(feature_batches(encoder_of("pvt"), ImageSource(images), 0))

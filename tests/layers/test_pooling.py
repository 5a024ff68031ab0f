import pytest
import torch
from torch import nn

from mim_plugins.layers.pooling import pooled_features


class Fixed(nn.Module):
    """Encoder that returns what it is given at construction."""

    def __init__(self, outputs, num_extra_tokens=0):
        super().__init__()
        self.outputs = outputs
        self.num_extra_tokens = num_extra_tokens

    def forward(self, images):
        return self.outputs


IMAGES = torch.zeros(2, 3, 4, 4)


def test_maps_are_averaged_over_positions():
    maps = torch.randn(2, 5, 3, 4)
    pooled = pooled_features(Fixed((torch.zeros(2, 9, 8, 8), maps)), IMAGES)
    torch.testing.assert_close(pooled, maps.flatten(2).mean(dim=2))


@pytest.mark.parametrize("extra", [0, 1, 5])
def test_tokens_are_averaged_without_extra_tokens(extra):
    tokens = torch.randn(2, 9, 5)
    pooled = pooled_features(Fixed([tokens], extra), IMAGES)
    torch.testing.assert_close(pooled, tokens[:, extra:].mean(dim=1))


def test_pooled_outputs_are_returned_unchanged():
    features = torch.randn(2, 5)
    assert pooled_features(Fixed(features), IMAGES) is features


@pytest.mark.parametrize("shape", [(), (2,), (2, 3, 4, 5, 6)])
def test_outputs_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="Fixed returns"):
        pooled_features(Fixed(torch.zeros(shape)), IMAGES)

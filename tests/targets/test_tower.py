import pytest
from torch import nn

from mim_plugins.targets.tower import output_channels, resolve_block_index


@pytest.mark.parametrize(
    ("features", "block"), [("norm", 11), (0, 0), (7, 7), (11, 11), (-1, 11), (-12, 0)]
)
def test_block_is_an_index_or_the_last_for_a_word(features, block):
    assert resolve_block_index(features, 12, ("norm",)) == block


@pytest.mark.parametrize("features", ["projection", 12, -13, True, None, 1.0])
def test_other_features_are_refused_with_the_choices(features):
    with pytest.raises(ValueError, match=r"features=.*'norm' or the index.* 12 blocks, from -12"):
        resolve_block_index(features, 12, ("norm",))


def test_output_channels_of_a_module():
    assert output_channels(nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 7)), 4) == 7
    assert output_channels(nn.Identity(), 4) == 4

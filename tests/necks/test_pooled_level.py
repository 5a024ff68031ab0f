import pytest
import torch

from mim_plugins.registry import MODELS


def test_appends_the_last_level_pooled_to_half_the_size():
    levels = (torch.randn(2, 4, 8, 8), torch.randn(2, 6, 4, 6))

    *same, pooled = MODELS.build(dict(type="PooledLevel"))(levels)

    assert tuple(same) == levels
    torch.testing.assert_close(
        pooled, levels[1].unflatten(2, (2, 2)).unflatten(4, (3, 2)).amax((3, 5))
    )


def test_a_last_level_without_a_whole_window_is_refused():
    with pytest.raises(ValueError, match="PooledLevel: the last level has 1x4 cells"):
        MODELS.build(dict(type="PooledLevel"))((torch.randn(2, 6, 1, 4),))

import torch

from mim_plugins.registry import MODELS


def test_appends_the_last_level_pooled_to_half_the_size():
    levels = (torch.randn(2, 4, 8, 8), torch.randn(2, 6, 4, 6))

    *same, pooled = MODELS.build(dict(type="PooledLevel"))(levels)

    assert tuple(same) == levels
    torch.testing.assert_close(
        pooled, levels[1].unflatten(2, (2, 2)).unflatten(4, (3, 2)).amax((3, 5))
    )

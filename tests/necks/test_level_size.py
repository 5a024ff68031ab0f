import pytest
import torch

from mim_plugins.necks.level_size import check_last_level


@pytest.mark.parametrize("size", [(1, 9), (9, 1), (1, 1), (0, 4)])
def test_small_level_is_an_error_with_its_size(size):
    message = f"ExtraLevel: the last level has {size[0]}x{size[1]} cells, but must have .* 2x2"
    with pytest.raises(ValueError, match=message):
        check_last_level("ExtraLevel", torch.zeros(1, 3, *size), 2)


def test_level_of_the_lowest_size_is_accepted():
    check_last_level("ExtraLevel", torch.zeros(1, 3, 2, 5), 2)

import pytest

from mim_plugins.cli.windows import largest_window


@pytest.mark.parametrize(
    ("grid", "window"), [(1, 1), (4, 4), (7, 7), (16, 16), (24, 12), (56, 14), (96, 16), (22, 11)]
)
def test_window_divides_the_grid(grid, window):
    assert largest_window(grid) == window


def test_window_of_a_grid_with_tiny_divisors_is_padded():
    assert largest_window(26) == 13
    assert largest_window(34) == largest_window(19) == 14

import pytest

from mim_plugins.cli.windows import best_window


@pytest.mark.parametrize(
    ("grid", "window"), [(1, 1), (4, 4), (7, 7), (16, 16), (24, 12), (56, 14), (96, 16), (22, 11)]
)
def test_window_divides_the_grid(grid, window):
    assert best_window(grid, grid) == window


@pytest.mark.parametrize(("rows", "columns"), [(17, 17), (19, 19), (34, 34), (19, 38), (29, 17)])
def test_window_of_an_awkward_grid_needs_the_least_padding(rows, columns):
    def padded(window):
        return -(-rows // window) * -(-columns // window) * window**2

    assert padded(best_window(rows, columns)) == min(map(padded, range(7, 17)))


def test_small_grid_that_needs_padding_is_one_window():
    assert best_window(6, 8) == best_window(12, 16) == "global"

from itertools import pairwise

import pytest

from mim_plugins.sampling import evenly_spaced


@pytest.mark.parametrize(("total", "count"), [(1000, 8), (8, 8), (17, 5), (9, 1), (1_281_167, 12)])
def test_distances_differ_by_at_most_one(total, count):
    chosen = [*evenly_spaced(total, count), total]
    distances = {after - before for before, after in pairwise(chosen)}
    assert chosen[0] == 0
    assert len(chosen) == count + 1
    assert max(distances) - min(distances) <= 1


def test_no_more_indices_than_elements_are_returned():
    assert evenly_spaced(3, 8) == [0, 1, 2]
    assert evenly_spaced(0, 8) == []


def test_every_class_is_sampled_if_classes_have_equal_size():
    labels = [index // 50 for index in range(8 * 50)]
    assert [labels[index] for index in evenly_spaced(len(labels), 8)] == list(range(8))

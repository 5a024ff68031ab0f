import numpy as np
import pytest

from mim_plugins.archives.stored_labels import encode_labels, with_common_classes
from mim_plugins.errors import ArchiveError


@pytest.mark.parametrize(
    ("values", "numbers", "classes"),
    [
        ([2, None, 0], [2, -1, 0], ("x", "y", "z")),
        ([True, 1.0], [1, 1], ("x", "y", "z")),
        (["b", None, "a"], [1, -1, 0], ("a", "b")),
        ([None, None], [-1, -1], ("x", "y", "z")),
        ([], [], ("x", "y", "z")),
    ],
)
def test_numbers_and_names_are_encoded(values, numbers, classes):
    found = encode_labels("a", "label", values, ("x", "y", "z"))
    assert found.numbers.dtype == np.int64
    assert (found.numbers.tolist(), found.classes) == (numbers, classes)
    assert encode_labels("a", "label", values, None).numbers.tolist() == numbers


@pytest.mark.parametrize(
    "values", [["a", 1], ["a", b"b"], [b"a"], [np.inf], [0.5], [[1]], ["a", {}], [2**63]]
)
def test_other_values_are_an_error(values):
    with pytest.raises(ArchiveError, match="'a': column 'label' must contain one number or name"):
        encode_labels("a", "label", values, None)


def test_numbers_mean_the_same_with_and_without_other_archives():
    numbers = encode_labels("a", "label", [3, 1], tuple("wxyz"))
    empty = encode_labels("b", "label", [None], None)
    assert with_common_classes([numbers]) == [numbers]
    assert [each.classes for each in with_common_classes([empty, numbers])] == [tuple("wxyz")] * 2

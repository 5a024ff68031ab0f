import pytest
from class_folders import folder_dataset
from image_folders import write_classes
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from torch.utils.data import Subset

from mim_plugins.datasets import FaultTolerantDataset
from mim_plugins.datasets.wrappers import base_datasets
from mim_plugins.evaluation.class_names import class_difference, class_names

WRAPPERS = dict(
    repeat=lambda base: RepeatDataset(base, 2),
    concat=lambda base: ConcatDataset([base]),
    balanced=lambda base: ClassBalancedDataset(base, 0.5),
    subset=lambda base: Subset(base, [0]),
    tolerant=FaultTolerantDataset,
    nested=lambda base: Subset(FaultTolerantDataset(RepeatDataset(base, 2)), [0]),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_classes(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_data_set_inside_wrappers_is_found(root, wrapper):
    base = folder_dataset(root)
    assert base_datasets(WRAPPERS[wrapper](base)) == [base]


def test_all_data_sets_of_a_concatenation_are_found(root):
    first, second = folder_dataset(root), folder_dataset(root, "val")
    both = RepeatDataset(first, 2)
    both.dataset = ConcatDataset([first, second])
    assert base_datasets(both) == [first, second]


def test_a_wrapper_around_something_else_names_its_own_classes():
    class Wrapper:
        dataset = [1, 2, 3]
        metainfo = dict(classes=("a", "b"))

    wrapper = Wrapper()
    assert base_datasets(wrapper) == [wrapper]
    assert class_names(wrapper) == dict(classes=("a", "b"))


def test_folders_and_classes_are_both_names(root):
    dataset = folder_dataset(root, classes=["x", "y", "z"])
    assert class_names(dataset) == {"class folders": ("a", "b", "c"), "classes": ("x", "y", "z")}
    assert class_names(object()) == {}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("abc", None),
        ("ac", r"2 classes instead of 3, without 'b'"),
        ("abcd", r"4 classes instead of 3, with additional 'd'"),
        ("abd", r"3 classes, without 'c' and with additional 'd'"),
        ("acb", r"3 classes, in another order: label 1 is 'c', not 'b'"),
        ("abcc", r"4 classes instead of 3, some of them twice"),
        ("ABC", r"3 classes, without 'a', 'b', 'c' and with additional 'A', 'B', 'C'"),
        (("0", "1", "2"), None),
        (("00", "01", "02"), None),
        (("1", "2", "3"), "3 classes, without 'a'"),
        (("0", "1", "10"), "3 classes, without 'a'"),
        (("0", "2", "1"), "3 classes, without 'a'"),
        (("1", "2"), r"2 classes instead of 3"),
    ],
)
def test_differences_are_described(found, told):
    difference = class_difference(dict(classes=tuple("abc")), dict(classes=tuple(found)))
    assert difference is None if told is None else difference.startswith(told)


def test_names_of_different_kinds_are_not_compared():
    assert class_difference({"class folders": ("a",)}, {"classes": ("x", "y")}) is None
    folders = {"class folders": ("a", "c"), "classes": ("x", "y")}
    assert "class folders" in class_difference(
        folders, {"class folders": ("a", "b"), "classes": ("x", "y")}
    )


TEXT_ORDER = tuple(sorted(map(str, range(12))))
PADDED = tuple(f"{label:02}" for label in range(12))
KINDS = tuple(f"kind{label:02}" for label in range(12))


@pytest.mark.parametrize(
    ("folders", "classes", "other", "agree"),
    [
        (TEXT_ORDER, TEXT_ORDER, KINDS, False),
        (TEXT_ORDER, KINDS, KINDS, False),
        (TEXT_ORDER, KINDS, tuple(map(str, range(12))), False),
        (TEXT_ORDER, TEXT_ORDER, TEXT_ORDER, True),
        (PADDED, PADDED, KINDS, True),
        (PADDED, KINDS, KINDS, True),
        (PADDED, PADDED, tuple(map(str, range(12))), True),
        (tuple(f"{label:03}" for label in range(1, 13)), KINDS, KINDS, True),
    ],
)
def test_numbered_folders_agree_by_their_order(folders, classes, other, agree):
    ours, theirs = {"class folders": folders, "classes": classes}, {"classes": other}
    assert (class_difference(ours, theirs) is None) == agree
    assert (class_difference(theirs, ours) is None) == agree


def test_folders_that_agree_may_have_other_names():
    ours = {"class folders": ("n1", "n2"), "classes": ("tench", "goldfish")}
    theirs = {"class folders": ("n1", "n2"), "classes": ("n1", "n2")}
    assert class_difference(ours, theirs) is None

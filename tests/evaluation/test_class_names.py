import pytest
from class_folders import folder_dataset, write_folders
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
    return write_folders(tmp_path_factory.mktemp("data"))


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
        ("ac", r"2 classes in place of 3, without 'b'"),
        ("abcd", r"4 classes in place of 3, with 'd' besides"),
        ("abd", r"3 classes in place of 3, without 'c' and with 'd' besides"),
        ("acb", r"3 classes in place of 3, in another order: label 1 is 'c', not 'b'"),
        ("abcc", r"4 classes in place of 3, some of them twice"),
        ("ABC", r"3 classes in place of 3, without 'a', 'b', 'c' and with 'A', 'B', 'C' besides"),
        (("1", "2", "3"), None),
        (("1", "2"), r"2 classes in place of 3"),
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

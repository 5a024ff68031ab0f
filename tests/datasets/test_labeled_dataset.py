from mim_plugins.datasets import INaturalist, LabeledImageFolder, Places365
from mim_plugins.datasets.labeled_dataset import LabeledDataset


class Three(LabeledDataset):
    METAINFO = dict(classes=("x", "y"))

    def load_data_list(self):
        return [dict(img_path=f"{label}.jpg", gt_label=label) for label in (1, 0, 1)]


def test_labels_are_given_as_wrappers_and_hooks_ask_for_them():
    dataset = Three()

    assert [dataset.get_cat_ids(index) for index in range(3)] == [[1], [0], [1]]
    assert dataset.get_gt_labels().tolist() == [1, 0, 1]
    assert dataset.CLASSES == ("x", "y")


def test_all_labeled_data_sets_of_the_package_are_of_this_kind():
    assert all(
        issubclass(kind, Three.__base__) for kind in (INaturalist, LabeledImageFolder, Places365)
    )

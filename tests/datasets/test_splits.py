"""Splits, and classes with the name of a split."""

import pytest
from packs import write_folder

from mim_plugins.datasets.splits import folder_beside, normal_split, splits_among


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (["train"], ["train"]),
        (["train", "val"], ["train", "val"]),
        (["train", "unlabeled", "test"], ["test", "train"]),
        (["train", ""], ["train"]),
        (["bus", "train"], []),
        (["bus", "val", "validation"], []),
        (["train", "validation"], ["train", "validation"]),
        (["bus"], []),
        ([], []),
    ],
)
def test_single_split_beside_other_folders_is_a_class(folders, splits):
    assert splits_among(folders) == splits


def test_only_folders_of_images_make_a_split_a_class(tmp_path):
    write_folder(
        tmp_path, {"train/0.png": b"", "notes/a.txt": b"", ".old/0.png": b"", "1.png": b""}
    )
    assert folder_beside(tmp_path, "train") is None
    write_folder(tmp_path, {"bus/deep/0.npy": b""})
    assert folder_beside(tmp_path, "train") is None
    assert folder_beside(tmp_path, "train", (".npy",)) == "bus"
    assert folder_beside(tmp_path, "bus", (".npy",)) is None
    (tmp_path / "valid").mkdir()
    assert folder_beside(tmp_path, "train", (".npy",)) is None


def test_spellings_of_a_split_are_normalized():
    assert {normal_split(each) for each in ("train", "train/", "./train", "/train/.")} == {"train"}
    assert normal_split("") == normal_split(".") == ""

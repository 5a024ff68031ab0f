import os

import pytest

from mim_plugins.datasets.split_places import place_of_split
from mim_plugins.errors import DataNotFoundError


@pytest.fixture
def root(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return str(tmp_path)

    return make


@pytest.mark.parametrize(
    ("names", "split", "place"),
    [
        (["train/a/0.jpg", "train.tar", "val/a/0.jpg"], "train", "train"),
        (["train.tar", "val/a/0.jpg"], "train", ["train.tar"]),
        (["train-0.tar", "train-1.tar", "test/0.jpg"], "./train/", ["train-0.tar", "train-1.tar"]),
        (["train.tar", "0.jpg"], "train", ["train.tar"]),
        (["validation.parquet", "0.jpg"], "val", ["validation.parquet"]),
        (["images.tar", "0.jpg"], "images", ["images.tar"]),
        (["val.tar", "0.jpg"], "train", "."),
        (["0.tar", "0.jpg"], "train", "."),
        (["a/0.jpg", "training/0.jpg"], "train", "."),
        ([f"{name}/0.jpg" for name in ("test", *"abcd")], "train", "."),
        (["train.tar", "a/0.jpg"], "", "."),
    ],
)
def test_folder_of_the_split_precedes_archives_and_the_root(root, names, split, place):
    found = place_of_split(root(*names), split)
    if isinstance(place, list):
        assert [os.path.basename(path) for path in found.archives] == place
    else:
        assert os.path.samefile(found, os.path.join(root(), place))


@pytest.mark.parametrize("others", [["val"], ["test", "val"], ["validation"], ["valid"]])
def test_other_splits_alone_are_an_error(root, others):
    folder = root("training/0.jpg", *(f"{name}/0.jpg" for name in others))
    message = f"no folder '{folder}/train', but .* has other splits \\({', '.join(others)}\\): give"
    with pytest.raises(DataNotFoundError, match=message):
        place_of_split(folder, "train")

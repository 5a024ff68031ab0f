from pathlib import Path

import pytest

from mim_plugins.datasets import (
    INaturalist,
    LabeledImageFolder,
    Places365,
    UnlabeledImageFolder,
)
from mim_plugins.datasets.single_paths import check_local_paths, check_single_paths
from mim_plugins.errors import ConfigError


@pytest.mark.parametrize("value", ["a", "", None, Path("a"), dict(img_path="a"), {}])
def test_one_path_passes(value):
    check_single_paths("Some", data_prefix=value)


@pytest.mark.parametrize("value", [dict(a="A", b="B"), {}])
def test_a_root_is_no_dict(value):
    with pytest.raises(ValueError, match=r"Some: data_root=\{.*\} must be one path"):
        check_single_paths("Some", data_root=value)


@pytest.mark.parametrize("value", [["a", "b"], ("a",), [], 3, dict(img_path=["a"]), {"a"}])
def test_anything_else_is_refused_with_the_remedy(value):
    with pytest.raises(ValueError, match=r"Some: data_prefix=.* must be one path\..*ConcatDataset"):
        check_single_paths("Some", data_prefix=value)


def test_urls_are_no_paths_except_of_the_hub():
    check_local_paths("Some", data_root="hf://u/n", data_prefix=dict(img_path="a"), ann_file=None)
    for url in ("s3://bucket/x.tar", "gs://bucket/x", "https://host/x", "cluster:s3://x"):
        for argument in ("data_root", "data_prefix", "ann_file"):
            with pytest.raises(ConfigError, match=f"{argument}='{url}' must be a path on a disk"):
                check_local_paths("Some", **{argument: url})
    with pytest.raises(ConfigError, match=r"data_prefix='hf://u/n' must be a path on a disk:"):
        check_local_paths("Some", data_prefix=dict(img_path="hf://u/n"))


def test_the_remedy_shows_the_folders_given():
    with pytest.raises(
        ValueError, match=r"data_root='x', \.\.\.\), dict\(type='Some', data_root='y'"
    ):
        check_single_paths("Some", data_root=["x", "y", "z"])


@pytest.mark.parametrize(
    "build",
    [
        lambda root: UnlabeledImageFolder(root),
        lambda root: LabeledImageFolder(root),
        lambda root: LabeledImageFolder(data_prefix=root),
        lambda root: INaturalist(2018, "train", root),
        lambda root: Places365("train", data_root=root),
    ],
)
def test_every_data_set_of_the_package_checks(build):
    with pytest.raises(ValueError, match=r"=\['A', 'B'\] must be one path"):
        build(["A", "B"])


def test_unlabeled_images_need_a_folder():
    with pytest.raises(ValueError, match="data_root=None must be the folder of the images"):
        UnlabeledImageFolder(None)

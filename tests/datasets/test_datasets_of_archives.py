"""The data sets on archives: what a run reads, in every format."""

import shutil

import numpy as np
import pytest
import torch
from archive_files import FORMATS, TREES, class_files, image_bytes, write_archive, write_tar
from mmengine.dataset import pseudo_collate
from remote_data import fake_hub, fake_web
from torch.utils.data import ConcatDataset, DataLoader

from mim_plugins.archives.image_archive import opened_archives
from mim_plugins.datasets import ImageNet, LabeledImageFolder, UnlabeledImageFolder
from mim_plugins.datasets.drop_ins import read_regular_files, use_drop_in
from mim_plugins.errors import ArchiveError, ConfigError, CorruptImageError, DataNotFoundError
from mim_plugins.registry import DATASETS
from mim_plugins.transforms import LoadImage

WHOLE = [dict(type="mim_plugins.LoadImage"), dict(type="mim_plugins.PackInputs")]
CROP = [
    dict(type="mim_plugins.LoadRandomResizedCrop", scale=32),
    dict(type="mim_plugins.PackInputs"),
]


def read_all(dataset):
    return [LoadImage()(dataset.get_data_info(index))["img"] for index in range(len(dataset))]


@pytest.fixture(params=FORMATS)
def place(tmp_path, request):
    """Write train and val into one archive, or one archive of each for tables."""
    kind, both = request.param, class_files("train") | class_files("val")
    if kind in TREES:
        return write_archive(tmp_path / f"data.{kind}", both, kind)
    for split in ("train", "val"):
        files = {name: data for name, data in both.items() if name.startswith(split)}
        write_archive(tmp_path / "data" / f"{split}.{kind}".removesuffix(".hf"), files, kind)
    return tmp_path / "data"


@pytest.fixture
def folder(tmp_path):
    for name, data in (class_files("train") | class_files("val")).items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    return tmp_path / "folder"


def test_images_and_labels_equal_those_of_the_folder(place, folder):
    for split in ("train", "val"):
        # MMEngine collects garbage before it serializes, which takes a while
        options = dict(data_prefix=split, serialize_data=False)
        found, expected = (LabeledImageFolder(str(path), **options) for path in (place, folder))
        assert found.get_gt_labels().tolist() == expected.get_gt_labels().tolist() == [0, 0, 1, 1]
        assert found.CLASSES == expected.CLASSES == ("a", "b")
        assert all(map(np.array_equal, read_all(found), read_all(expected)))
        images = UnlabeledImageFolder(str(place), **options)
        assert all(map(np.array_equal, read_all(images), read_all(expected)))


def test_spawned_workers_load_the_same(tmp_path):
    paths = [write_archive(tmp_path / kind / f"a.{kind}", class_files(), kind) for kind in FORMATS]
    paths[-1] = paths[-1].rename(tmp_path / "hf/a")
    dataset = ConcatDataset([UnlabeledImageFolder(str(path), pipeline=WHOLE) for path in paths])
    expected = torch.stack([sample["inputs"] for sample in dataset])
    loader = DataLoader(
        dataset, 20, num_workers=1, multiprocessing_context="spawn", collate_fn=pseudo_collate
    )
    (batch,) = loader
    assert torch.equal(torch.stack(batch["inputs"]), expected)


@pytest.mark.parametrize("kind", [LabeledImageFolder, UnlabeledImageFolder])
def test_lists_name_members(tmp_path, kind):
    write_archive(tmp_path / "a.zip", class_files(), "zip")
    (tmp_path / "l.txt").write_text("b/1.png 3\na/0.png 1\n")
    dataset = kind(str(tmp_path / "a.zip"), ann_file="l.txt")
    paths = [dataset.get_data_info(index)["img_path"] for index in range(2)]
    assert paths == [f"{tmp_path}/a.zip::b/1.png", f"{tmp_path}/a.zip::a/0.png"]
    if kind is LabeledImageFolder:
        assert dataset.get_gt_labels().tolist() == [3, 1]


@pytest.mark.parametrize("kind", [LabeledImageFolder, UnlabeledImageFolder])
def test_archives_of_a_list_are_indexed_at_the_start(tmp_path, kind):
    for name in ("a.zip", "b.tar", "c.lmdb"):
        write_archive(tmp_path / name, class_files(), name[2:])
    (tmp_path / "l.txt").write_text("a.zip::b/1.png 3\nb.tar::a/0.png 1\nc.lmdb::a/0.png 1\n")
    dataset = kind(str(tmp_path), ann_file="l.txt")
    assert [len(archive) for archive in dataset.archives] == [4, 4, 4]
    assert all(archive is opened_archives[archive.path] for archive in dataset.archives)
    (tmp_path / "l.txt").write_text("a.zip::b/1.png 3\nd.tar::a/0.png 1\n")
    with pytest.raises(DataNotFoundError, match=r"the archive '.*d\.tar' does not exist"):
        kind(str(tmp_path), ann_file="l.txt")


@pytest.mark.parametrize("kind", [LabeledImageFolder, UnlabeledImageFolder])
def test_lists_name_urls(tmp_path, monkeypatch, kind):
    urls = fake_web(monkeypatch, {"a.png": image_bytes(1), "image?id=2": image_bytes(2)})
    (tmp_path / "l.txt").write_text(f"{urls[0]} 0\n{urls[1]} 1\n")
    write_archive(tmp_path / "a.zip", class_files(), "zip")
    for root in (tmp_path, tmp_path / "a.zip"):
        dataset = kind(str(root), ann_file=str(tmp_path / "l.txt"), pipeline=WHOLE)
        assert [dataset.get_data_info(index)["img_path"] for index in range(2)] == urls
        assert dataset[1]["inputs"].shape == (3, 40, 48)


HUB_FILES = dict(train=class_files(), validation=class_files("val", images=3))


@pytest.mark.parametrize("kind", [LabeledImageFolder, UnlabeledImageFolder])
@pytest.mark.parametrize("prefix", ["train", dict(img_path="val"), ""])
def test_data_of_the_hub_are_read(tmp_path, monkeypatch, kind, prefix):
    fake_hub(monkeypatch, tmp_path, **HUB_FILES)
    dataset = kind("hf://user/name", data_prefix=prefix, pipeline=WHOLE)
    split = "val" if isinstance(prefix, dict) else prefix
    path = f"hf://user/name#{split}" if split else "hf://user/name"
    assert dataset.get_data_info(1)["img_path"] == f"{path}::1"
    assert len(dataset) == (6 if split == "val" else 4)
    expected = list(HUB_FILES["validation" if split == "val" else "train"].values())
    assert LoadImage().read(f"{path}::3") == expected[3]
    assert dataset[1]["inputs"].shape == (3, 40, 48)
    if kind is LabeledImageFolder:
        assert dataset.CLASSES == ("a", "b")
        with pytest.raises(DataNotFoundError, match="is the split 'test' alone, but the split"):
            kind("hf://user/name#test", data_prefix="train")


def test_list_names_rows_of_the_hub(tmp_path, monkeypatch):
    fake_hub(monkeypatch, tmp_path, **HUB_FILES)
    (tmp_path / "l.txt").write_text("3\n1\n")
    images = UnlabeledImageFolder("hf://user/name", ann_file=str(tmp_path / "l.txt"))
    assert images.get_data_info(0)["img_path"] == "hf://user/name::3"


@pytest.mark.parametrize("kind", [LabeledImageFolder, UnlabeledImageFolder])
@pytest.mark.parametrize("prefix", ["train", dict(img_path="validation"), "val"])
def test_list_names_rows_of_its_split_on_the_hub(tmp_path, monkeypatch, kind, prefix):
    fake_hub(monkeypatch, tmp_path, **HUB_FILES)
    (tmp_path / "l.txt").write_text("2 1\n0 0\n")
    options = dict(data_prefix=prefix, ann_file=str(tmp_path / "l.txt"))
    split = "validation" if isinstance(prefix, dict) else prefix
    rows = [f"hf://user/name#{split}::{row}" for row in (2, 0)]
    found = kind("hf://user/name", **options)
    assert [found.get_data_info(index)["img_path"] for index in range(2)] == rows
    expected = list(HUB_FILES["train" if split == "train" else "validation"].values())
    assert LoadImage().read(rows[0]) == expected[2]
    own = "hf://user/name#train"
    if kind is UnlabeledImageFolder:
        assert kind(own, **options).get_data_info(0)["img_path"] == f"{own}::2"
    elif split != "train":
        with pytest.raises(DataNotFoundError, match="is the split 'train' alone, but the split"):
            kind(own, **options)


@pytest.mark.parametrize("lists", [False, True])
def test_prefix_on_the_hub_is_read_at_its_split(tmp_path, monkeypatch, lists):
    fake_hub(monkeypatch, tmp_path, **HUB_FILES)
    (tmp_path / "l.txt").write_text("0 1\n")
    options = dict(split="val", ann_file=str(tmp_path / "l.txt") if lists else "")
    for given, name in (("", "#val"), ("#validation", "#validation")):
        found = LabeledImageFolder(data_prefix=f"hf://user/name{given}", **options)
        assert found.get_data_info(0)["img_path"] == f"hf://user/name{name}::0"
    with pytest.raises(DataNotFoundError, match="is the split 'train' alone, but the split 'val'"):
        LabeledImageFolder(data_prefix=dict(img_path="hf://user/name#train"), **options)


@pytest.mark.parametrize("kind", [LabeledImageFolder, UnlabeledImageFolder, ImageNet])
def test_other_remote_data_are_refused_in_one_line(kind):
    for root in ("gs://bucket/x", "s3://bucket/x.tar", "https://host/x"):
        with pytest.raises(ConfigError, match="must be a path on a disk or hf://USER/NAME"):
            kind(data_root=root, split="train") if kind is ImageNet else kind(data_root=root)


def test_list_with_an_unknown_member_is_an_error(tmp_path):
    write_archive(tmp_path / "a.zip", class_files(), "zip")
    (tmp_path / "l.txt").write_text("b/7.png\n")
    with pytest.raises(
        DataNotFoundError, match=r"lists '.*a\.zip::b/7\.png', which does not exist"
    ):
        UnlabeledImageFolder(str(tmp_path / "a.zip"), ann_file="l.txt")


def test_corrupt_members_are_replaced_and_recorded(tmp_path):
    write_tar(tmp_path / "a.tar", {"0.png": image_bytes(), "1.png": image_bytes()[:700]})
    dataset = UnlabeledImageFolder(str(tmp_path / "a.tar"), on_corrupt="replace", pipeline=CROP)
    name = f"{tmp_path}/a.tar::1.png"
    assert list(dataset[1]["data_samples"].corrupt_images) == [name]
    with pytest.raises(CorruptImageError, match=r"corrupt image '.*a\.tar::1\.png': truncated"):
        UnlabeledImageFolder(str(tmp_path / "a.tar"), pipeline=CROP)[1]


def test_archive_that_is_cut_during_training_is_unreadable(tmp_path):
    path = write_archive(tmp_path / "a.tar", class_files(), "tar")
    dataset = UnlabeledImageFolder(str(path), pipeline=CROP)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(CorruptImageError, match=r"unreadable .*ends within a member") as error:
        dataset[3]
    assert error.value.kind == "unreadable"


def test_drop_ins_read_archives_with_the_transform_of_mmcv(tmp_path):
    path = write_archive(tmp_path / "a.zip", class_files("train"), "zip")
    cfg = dict(type="CustomDataset", data_root=str(path), data_prefix="train")
    cfg["pipeline"] = [dict(type="mmcv.LoadImageFromFile")]
    assert use_drop_in(cfg) == "mim_plugins.LabeledImageFolder"
    read_regular_files(cfg)
    assert DATASETS.build(cfg)[0]["img"].shape == (40, 48, 3)


def test_number_of_class_names_must_fit(tmp_path):
    path = write_archive(tmp_path / "a.zip", class_files("train"), "zip")
    with pytest.raises(ValueError, match="has 2 class folders, but 1000 class names are given"):
        ImageNet(data_root=str(path), split="train")


@pytest.mark.parametrize("kind", [LabeledImageFolder, UnlabeledImageFolder])
def test_unusable_files_are_errors_in_one_line(tmp_path, kind):
    for name, error, message in (
        ("a.tar.gz", DataNotFoundError, "a format that is not read; supported are folders"),
        ("a.jpg", DataNotFoundError, "no archive either"),
        ("a.tar", ArchiveError, "no complete tar archive"),
        ("a.parquet", ArchiveError, "no complete Parquet file"),
    ):
        (tmp_path / name).write_bytes(b"x" * 600)
        with pytest.raises(error, match=message) as caught:
            kind(str(tmp_path / name))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["images/", ""])
def test_archive_of_the_name_of_a_folder_may_contain_masks(tmp_path, prefix):
    images = class_files(f"{prefix}x")
    masks = {name.replace("images", "annotations"): b"" for name in images} if prefix else {}
    write_tar(tmp_path / "images.tar", images | masks)
    write_tar(tmp_path / "annotations.tar", class_files("annotations"))
    for kind in (UnlabeledImageFolder, LabeledImageFolder):
        dataset = kind(str(tmp_path), data_prefix="images", lazy_init=True)
        paths = [each["img_path"] for each in dataset.load_data_list()]
        assert paths == [f"{tmp_path}/images.tar::{name}" for name in sorted(images)]


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("empty", ["b", "b/deeper", ".hidden", "__MACOSX/b"])
def test_classes_without_images_equal_those_of_the_folder(tmp_path, folder, kind, empty):
    (folder / "val/b").rename(folder / "val/c")
    (folder / "val" / empty).mkdir(parents=True)
    (folder / "meta").mkdir()
    for base in ("folder", "."):  # with and without an outer folder
        root = tmp_path if base == "folder" else folder
        archive = shutil.make_archive(str(tmp_path / f"a{base[0]}"), kind, root, base)
        found, expected = (
            LabeledImageFolder(str(path), data_prefix="val", lazy_init=True)
            for path in (archive, folder)
        )
        labels = [
            [each["gt_label"] for each in data.load_data_list()] for data in (found, expected)
        ]
        classes = ("a", "b", "c") if empty.startswith("b") else ("a", "c")
        assert found.CLASSES == expected.CLASSES == classes
        assert labels[0] == labels[1]

import numpy as np
import pytest
import torch
from image_files import oriented
from image_folders import flatten_val
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image

from mim_plugins.errors import DataNotFoundError
from mim_plugins.evaluation import build_labeled_loader, check_same_classes
from mim_plugins.evaluation.labeled_loader import center_crop

pytest.importorskip("mmpretrain", exc_type=ImportError)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


@pytest.fixture
def root(tmp_path):
    """Write three classes of four images in train and two in val, each of another gray value."""
    for split, names in (("train", "abc"), ("val", "ab")):
        for place, name in enumerate(names):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for index in range(4):
                pixels = np.full((50, 70, 3), 40 * place + 10 * index, np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return tmp_path


def build(root, split="train", **kwargs):
    settings = dict(img_size=32, batch_size=5, num_workers=0) | kwargs
    return build_labeled_loader(dict(data_root=str(root), data_prefix=split), **settings)


def contents(loader):
    batches = list(loader)
    images = torch.cat([batch["inputs"] for batch in batches])
    labels = [int(sample.gt_label) for batch in batches for sample in batch["data_samples"]]
    return images, labels


def test_reads_class_folders_in_order_with_a_center_crop(root):
    images, labels = contents(build(root))
    assert images.shape == (12, 3, 32, 32)
    assert images.dtype == torch.uint8
    assert images[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]
    assert labels == [0] * 4 + [1] * 4 + [2] * 4


def test_long_and_turned_images_are_read_as_elsewhere(tmp_path):
    Image.new("RGB", (20000, 1), (1, 2, 3)).save(tmp_path / "long.png")
    (tmp_path / "turned.png").write_bytes(oriented("PNG", 6, "LONG", ">"))
    pipeline = Compose(center_crop((32, 24), resize=40))
    long, turned = (
        pipeline(dict(img_path=str(tmp_path / name), gt_label=1))
        for name in ("long.png", "turned.png")
    )
    assert long["inputs"].shape == (3, 32, 24)
    assert (long["inputs"] == torch.tensor([3, 2, 1])[:, None, None]).all()
    assert turned["data_samples"].ori_shape == (64, 48)
    assert turned["data_samples"].gt_label == 1


def test_the_crop_may_be_oblong(root):
    assert contents(build(root, img_size=(32, 48)))[0].shape[2:] == (32, 48)


@pytest.mark.parametrize(("limit", "chosen"), [(3, [0, 40, 80]), (6, [0, 20, 40, 60, 80, 100])])
def test_a_subset_is_spread_over_the_classes_and_always_the_same(root, limit, chosen):
    for _ in range(2):
        images, _ = contents(build(root, max_images=limit))
        assert images[:, 0, 0, 0].tolist() == chosen


def test_a_given_type_and_pipeline_are_kept(root):
    dataset = dict(
        type="CustomDataset",
        data_root=str(root),
        data_prefix="val",
        pipeline=[dict(type="LoadImageFromFile"), dict(type="PackInputs")],
    )
    images, labels = contents(build_labeled_loader(dataset, num_workers=0))
    assert images.shape == (8, 3, 50, 70)
    assert labels == [0] * 4 + [1] * 4
    assert "pipeline" in dataset


def test_a_missing_folder_is_named_with_the_layout(root):
    with pytest.raises(DataNotFoundError, match="no split 'test', but train, val: give the path"):
        build(root, "test")


def test_a_data_set_without_labels_is_refused(root):
    with pytest.raises(ValueError, match=r"UnlabeledImageFolder.*no labels"):
        build_labeled_loader(
            dict(type="mim_plugins.UnlabeledImageFolder", data_root=str(root), data_prefix="train")
        )


def test_a_limit_may_exceed_the_data_but_not_be_zero(root):
    assert len(build(root, max_images=100).dataset) == 12
    with pytest.raises(ValueError, match="max_images=0"):
        build(root, max_images=0)


def test_other_classes_in_the_queries_are_refused(root):
    check_same_classes(build(root), build(root, max_images=3))
    with pytest.raises(ValueError, match=r"2 class folders instead of 3, without 'c'"):
        check_same_classes(build(root), build(root, "val"))


@pytest.mark.parametrize("first", [0, 1, 2])
def test_labels_of_flat_queries_are_numbers_of_classes(root, first):
    references, queries = build(root), build(flatten_val(root, first), "val")
    assert contents(queries)[1] == [first] * 4 + [first + 1] * 4
    if first < 2:
        check_same_classes(references, queries)
        return
    for loaders in ((references, queries), (queries, references)):
        with pytest.raises(ValueError, match=r"meta/val.txt' has the label 3, but .* 3 classes"):
            check_same_classes(*loaders)
    check_same_classes(queries, queries)


def test_several_folders_are_read_one_after_the_other(root):
    part = dict(data_root=str(root), data_prefix="train")
    repeated = dict(type="RepeatDataset", times=2, dataset=part)
    loader = build_labeled_loader(
        dict(type="ConcatDataset", datasets=[part, repeated]), 32, num_workers=0
    )
    assert contents(loader)[1] == 3 * ([0] * 4 + [1] * 4 + [2] * 4)
    assert "pipeline" not in part


def test_mmpretrains_class_folders_are_read_by_the_shared_walk(root):
    (root / "train/.ipynb_checkpoints").mkdir()
    (root / "train/a/up").symlink_to("..")
    dataset = dict(type="CustomDataset", data_root=str(root), data_prefix="train")
    labels = contents(build_labeled_loader(dataset, 32, num_workers=0))[1]
    assert labels == [0] * 4 + [1] * 4 + [2] * 4


def test_corrupt_images_are_marked_in_every_batch(root):
    (root / "train/b/0.png").write_bytes(b"x")
    samples = [sample for batch in build(root) for sample in batch["data_samples"]]
    marked = [index for index, s in enumerate(samples) if "corrupt_images" in s.metainfo]
    assert marked == [4]

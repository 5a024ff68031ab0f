"""Images that references and queries have in common."""

import pytest
from archive_files import class_files, write_archive
from image_folders import write_classes
from mmengine.registry import DefaultScope
from torch.utils.data import ConcatDataset, Subset

from mim_plugins.datasets import LabeledImageFolder
from mim_plugins.evaluation import labeled_loader
from mim_plugins.evaluation.knn_loaders import build_knn_loaders
from mim_plugins.evaluation.readable_images import ReadableImages
from mim_plugins.evaluation.shared_images import count_shared_images


def folder(root, split):
    return LabeledImageFolder(str(root), data_prefix=split)


@pytest.fixture
def root(tmp_path):
    """Three classes with two images each in train, and others in val."""
    write_classes(tmp_path, images=2)
    return tmp_path


def test_links_of_folders_and_files_are_resolved(root):
    train = folder(root, "train")
    assert count_shared_images(train, folder(root, "val")) == 0
    (root / "all").symlink_to("train")
    (root / "linked").mkdir()
    for number, name in enumerate(sorted(path.name for path in (root / "train").iterdir())):
        (root / "linked" / name).mkdir()
        image = min((root / "train" / name).iterdir())
        (root / "linked" / name / f"{number}.jpg").symlink_to(image)
    (root / "linked" / name / "own.jpg").write_bytes(image.read_bytes())
    for split, shared, total in ("all", 6, 6), ("linked", 3, 4), ("train", 6, 6):
        queries = folder(root, split)
        assert len(queries) == total
        assert count_shared_images(train, queries) == shared


def test_images_inside_of_wrappers_are_compared(root):
    train, val = folder(root, "train"), folder(root, "val")
    both = ConcatDataset([val, train])
    assert count_shared_images(ReadableImages(train), Subset(both, [0, 6, 7])) == 2
    assert count_shared_images(Subset(train, [0, 1]), Subset(train, [2, 3])) == 0


def test_members_of_one_archive_are_compared(tmp_path):
    write_archive(tmp_path / "a.zip", class_files("train") | class_files("val"), "zip")
    (tmp_path / "b.zip").symlink_to("a.zip")
    train, linked = (folder(tmp_path / name, "train") for name in ("a.zip", "b.zip"))
    assert count_shared_images(train, linked) == len(train) > 0
    assert count_shared_images(train, folder(tmp_path / "a.zip", "val")) == 0


def test_samples_in_memory_are_not_compared():
    assert count_shared_images([1, 2], [1, 2]) == 0


@pytest.mark.parametrize("queries", ["val", "train", "link"])
def test_queries_among_the_references_are_a_warning(root, queries, monkeypatch):
    pytest.importorskip("mmpretrain", exc_type=ImportError)
    (root / "link").symlink_to("train")
    configs = [dict(data_root=str(root), data_prefix=each) for each in ("train", queries)]
    messages = []
    monkeypatch.setattr(labeled_loader, "print_log", lambda text, **_: messages.append(text))
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        build_knn_loaders(tuple(configs), 16, 4, 0, (None, 4))
    warned = ["4 of 4 queries are also among the references" in each for each in messages]
    assert warned == [True] * (queries != "val")

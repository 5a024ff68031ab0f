import pytest

from mim_plugins.datasets import ImageNet

pytest.importorskip("mmpretrain", exc_type=ImportError)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "val/n01440764").mkdir(parents=True)
    (tmp_path / "val/n01440764/0.JPEG").touch()
    return tmp_path


def test_lists_have_the_names_of_the_1000_classes(root):
    (root / "meta").mkdir()
    (root / "meta/val.txt").write_text("n01440764/0.JPEG 0\n")

    dataset = ImageNet(data_root=str(root), split="val")

    assert len(dataset.CLASSES) == 1000
    assert dataset.CLASSES[0].startswith("tench")
    assert dataset.get_cat_ids(0) == [0]


def test_other_folders_need_names_of_their_own(root):
    with pytest.raises(ValueError, match=r"1 class folders, but 1000.*LabeledImageFolder"):
        ImageNet(data_root=str(root), split="val")

    dataset = ImageNet(data_root=str(root), split="val", metainfo=dict(classes=("tench",)))
    assert dataset.CLASSES == ("tench",)

import pytest
import torch
from image_folders import write_classes

from mim_plugins.errors import DataNotFoundError
from mim_plugins.evaluation.knn_loaders import build_knn_loaders

pytest.importorskip("mmpretrain", exc_type=ImportError)


def build(root, limits=(None, None), queries="val"):
    configs = [dict(data_root=str(root), data_prefix=prefix) for prefix in ("train", queries)]
    return build_knn_loaders(tuple(configs), 16, 4, 0, limits)


def test_each_data_set_has_its_images_and_its_limit(tmp_path):
    write_classes(tmp_path, images=3)
    assert [len(loader.dataset) for loader in build(tmp_path)] == [9, 9]
    references, queries = build(tmp_path, (6, 3))
    assert [len(loader.dataset) for loader in (references, queries)] == [6, 3]
    (batch, rest), (few,) = list(references), list(queries)
    assert [len(each["inputs"]) for each in (batch, rest, few)] == [4, 2, 3]
    assert torch.stack(list(batch["inputs"])).shape == (4, 3, 16, 16)


@pytest.mark.parametrize(
    ("val", "queries", "error", "message"),
    [("abx", "val", ValueError, "classes"), ("abc", "test", DataNotFoundError, "test")],
)
def test_other_classes_and_missing_folders_are_rejected(tmp_path, val, queries, error, message):
    write_classes(tmp_path, "abc", val)
    with pytest.raises(error, match=message):
        build(tmp_path, queries=queries)

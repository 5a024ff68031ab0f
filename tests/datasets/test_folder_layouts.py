import pytest

from mim_plugins.datasets.folder_layouts import ADE20K, COCO, IMAGENET, describe_layout


@pytest.mark.parametrize(
    ("dataset", "names"),
    [
        ("CocoDataset", COCO),
        ("mmdet.CocoDataset", COCO),
        ("ADE20KDataset", ADE20K),
        ("ImageNet", IMAGENET),
        ("mim_plugins.UnlabeledImageFolder", IMAGENET),
    ],
)
def test_a_description_names_every_file_and_folder(dataset, names):
    text = describe_layout(dataset)
    assert all(name in text for name in names)
    others = {*COCO, *ADE20K, *IMAGENET} - set(names)
    assert not any(name in text for name in others)

import json
from types import SimpleNamespace

import pytest
from class_folders import classifier, folder_dataset
from image_folders import write_classes
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from torch import nn

from mim_plugins.checks.label_check import check_labels
from mim_plugins.errors import ConfigError


def both(root, wrap=lambda dataset: dataset, **settings):
    return dict(
        train_dataloader=wrap(folder_dataset(root, **settings)),
        val_dataloader=folder_dataset(root, "val", **settings),
    )


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: RepeatDataset(d, 3)], ids=["plain", "rep"])
@pytest.mark.parametrize(
    ("train", "val", "told"),
    [
        ("abc", "ac", r"2 class folders instead of 3, without 'b'"),
        ("abc", "bc", r"without 'a'"),
        ("abc", "abcd", r"with additional 'd'"),
        ("abc", "abx", r"without 'c' and with additional 'x'"),
        ("ab", "abc", r"3 class folders instead of 2, with additional 'c'"),
    ],
)
def test_different_class_folders_in_validation_are_rejected(tmp_path, wrap, train, val, told):
    datasets = both(write_classes(tmp_path, train, val), wrap)
    with pytest.raises(ConfigError, match=rf"val_dataloader.*val'.*train_dataloader.*{told}"):
        check_labels(classifier(4), datasets, {})


def test_class_folders_are_compared_despite_class_names(tmp_path):
    datasets = both(write_classes(tmp_path, "abc", "abx"), classes=["one", "two", "three"])
    with pytest.raises(ConfigError, match="3 class folders, without 'c'"):
        check_labels(classifier(3), datasets, {})


def test_parts_of_a_concatenated_data_set_are_compared(tmp_path):
    root, other = write_classes(tmp_path / "x", "abc"), write_classes(tmp_path / "y", "acd")
    datasets = [folder_dataset(root), folder_dataset(other)]
    train = ConcatDataset(datasets, ignore_keys=["classes"])
    with pytest.raises(ConfigError, match="without 'b' and with additional 'd'"):
        check_labels(classifier(3), dict(train_dataloader=train), {})


@pytest.mark.parametrize("classes", [1, 2])
def test_more_classes_than_the_head_are_rejected(tmp_path, classes):
    datasets = both(write_classes(tmp_path, "abc"))
    told = rf"has 3 classes, but model.head.num_classes={classes}; set model.head.num_classes=3"
    with pytest.raises(ConfigError, match=told):
        check_labels(classifier(classes), datasets, {})


def test_fewer_classes_than_the_head_cause_a_warning(tmp_path):
    datasets = both(write_classes(tmp_path, "abc"))
    assert check_labels(classifier(3), datasets, {}) == []
    warnings = check_labels(classifier(1000), datasets, {})
    assert [w.split(" (")[0] for w in warnings] == [f"{d}.dataset" for d in datasets]
    assert all("3 classes, but model.head.num_classes=1000: 997 outputs" in w for w in warnings)


def test_evaluation_with_fewer_class_folders_is_rejected(tmp_path):
    root = write_classes(tmp_path, "abc", "ac")
    test = dict(test_dataloader=folder_dataset(root, "val"))
    with pytest.raises(ConfigError, match=r"2 classes.*num_classes=3.*numbered separately"):
        check_labels(classifier(3), test, {})
    with pytest.raises(ConfigError, match=r"checkpoint's training.*without 'b'"):
        check_labels(classifier(3), test, {}, trained_on=["a", "b", "c"])


def test_evaluation_with_the_model_classes_passes(tmp_path):
    test = dict(test_dataloader=folder_dataset(write_classes(tmp_path, "abc"), "val"))
    assert check_labels(classifier(3), test, {}, trained_on=["a", "b", "c"]) == []
    (warning,) = check_labels(classifier(9), test, {}, trained_on=["a", "b", "c"])
    assert "6 outputs of the head are unused" in warning


def listed(root, lines, **settings):
    (root / "list.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder_dataset(root, "train", ann_file="list.txt", **settings)


@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [
        ((0, 1, 3), "abc", r"the label 3 .for example of '.*b/00.png'., .* 0 to 2, its classes"),
        ((-1, 1, 2), "abc", r"the label -1, but labels must be 0 to 2"),
        ((-1, 1, 2), None, r"the label -1, but labels must be whole numbers from 0"),
        ((0, 1, 7), None, r"8 classes \(label 7 of '.*b/00.png'\), but model.head.num_classes=3"),
    ],
)
def test_labels_out_of_range_in_a_list_are_rejected(tmp_path, labels, classes, told):
    root = write_classes(tmp_path, "ab")
    files = ["a/00.png", "a/01.png", "b/00.png"]
    lines = [f"{file} {label}" for file, label in zip(files, labels, strict=True)]
    dataset = listed(root, lines, classes=classes and list(classes))
    with pytest.raises(ConfigError, match=told):
        check_labels(classifier(3), dict(train_dataloader=dataset), {})


def test_list_without_the_last_classes_passes(tmp_path):
    dataset = listed(write_classes(tmp_path, "ab"), ["a/00.png 0", "b/00.png 1"])
    assert check_labels(classifier(3), dict(train_dataloader=dataset), {}) == []


def test_list_and_folders_are_compared_by_class_names(tmp_path):
    root = write_classes(tmp_path, "ab")
    train = listed(root, ["a/00.png 0", "b/00.png 1"], classes=["b", "a"])
    datasets = dict(train_dataloader=train, val_dataloader=folder_dataset(root, "val"))
    with pytest.raises(ConfigError, match="in another order: label 0 is 'a', not 'b'"):
        check_labels(classifier(2), datasets, {})


class Samples(BaseDataset):
    """Data set with the given annotations."""

    def __init__(self, infos, **metainfo):
        self.infos = infos
        super().__init__(metainfo=metainfo)

    def load_data_list(self):
        return [dict(info, img_path=f"{index}.jpg") for index, info in enumerate(self.infos)]


def test_multi_label_classes_are_checked(tmp_path):
    head = dict(type="MultiLabelLinearClsHead", num_classes=3, in_channels=16)
    fine = Samples([dict(gt_label=[]), dict(gt_label=[0, 2]), dict(gt_label=[1])])
    assert check_labels(classifier(head=head), dict(train_dataloader=fine), {}) == []
    wrong = Samples([dict(gt_label=[0]), dict(gt_label=[2, 3])])
    with pytest.raises(ConfigError, match=r"4 classes \(label 3 of '1.jpg'\).*num_classes=3"):
        check_labels(classifier(head=head), dict(train_dataloader=wrong), {})


def test_multi_task_labels_are_checked():
    heads = {
        task: dict(type="LinearClsHead", num_classes=n, in_channels=16)
        for task, n in (("color", 2), ("form", 5))
    }
    model = classifier(head=dict(type="MultiTaskHead", task_heads=heads))
    fine = Samples([dict(gt_label=dict(color=1, form=4)), dict(gt_label=dict(form=0))])
    assert check_labels(model, dict(train_dataloader=fine), {}) == []
    wrong = Samples([dict(gt_label=dict(color=2, form=4))])
    with pytest.raises(ConfigError, match=r"3 classes.*model.head.task_heads.color.num_classes=2"):
        check_labels(model, dict(train_dataloader=wrong), {})


def test_pretraining_needs_no_labels(tmp_path):
    pretraining = SimpleNamespace(data_preprocessor=None)
    other_folders = both(write_classes(tmp_path, "ab", "cd"))
    assert check_labels(pretraining, other_folders, {}) == []
    assert check_labels(pretraining, dict(train_dataloader=Samples([dict()])), {}) == []
    assert check_labels(pretraining, dict(train_dataloader=[1, 2]), {}) == []


class BaseDetector(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.bbox_head = nn.Module()
        self.bbox_head.num_classes = classes


class BaseSegmentor(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.decode_head = nn.Module()
        self.decode_head.num_classes = classes


class CocoLike(Samples):
    """Data set that numbers categories like MMDetection's."""

    def __init__(self, file, classes):
        self.file = str(file)
        super().__init__([dict()], classes=tuple(classes))
        content = json.loads(file.read_text())
        self.cat_ids = [c["id"] for c in content["categories"] if c["name"] in classes]
        self.ann_file = self.file


def coco(folder, name, categories, classes):
    file = folder / name
    rows = [dict(id=index + 1, name=each) for index, each in enumerate(categories)]
    file.write_text(json.dumps(dict(images=[], annotations=[], categories=rows)))
    return CocoLike(file, classes)


@pytest.mark.parametrize(
    ("categories", "told"),
    [
        ("acd", r"val.json'\) has 3 categories instead of 4, without 'b'"),
        ("abdc", r"in another order: label 2 is 'd', not 'c'"),
        ("", r"0 categories instead of 4"),
    ],
)
def test_categories_that_shift_labels_are_rejected(tmp_path, categories, told):
    datasets = dict(
        train_dataloader=coco(tmp_path, "train.json", "abcd", "abcd"),
        val_dataloader=coco(tmp_path, "val.json", categories, "abcd"),
    )
    with pytest.raises(ConfigError, match=told):
        check_labels(BaseDetector(4), datasets, {})


@pytest.mark.parametrize("classes", [3, 5, 256])
def test_other_numbers_of_classes_of_a_detector_are_a_warning(tmp_path, classes):
    """Grounding DINO reads 256 tokens of text, PanopticFPN detects 80 of 133 classes."""
    train = dict(train_dataloader=coco(tmp_path, "train.json", "xabcdy", "abcd"))
    assert check_labels(BaseDetector(4), train, {}) == []
    (warning,) = check_labels(BaseDetector(classes), train, {})
    assert f"4 classes, but model.bbox_head.num_classes={classes}; set the same number," in warning


@pytest.mark.parametrize("model", [BaseDetector(2), BaseSegmentor(2)])
def test_other_classes_of_detectors_and_segmentors_are_a_warning(model):
    """Open-vocabulary models train and validate on different classes."""
    datasets = dict(
        train_dataloader=Samples([dict()], classes=("a", "b")),
        val_dataloader=Samples([dict()], classes=("a", "c")),
    )
    for trained_on in (None, ["a", "b"], ["x", "y"]):
        (warning,) = check_labels(model, datasets, {}, trained_on)
        assert "have different classes" in warning


def test_labels_that_the_loss_ignores_pass():
    model = classifier(3)
    train = dict(train_dataloader=Samples([dict(gt_label=2), dict(gt_label=-1)]))
    with pytest.raises(ConfigError, match="has the label -1"):
        check_labels(model, train, {})
    model.head.loss_module.ignore_index = -1
    assert check_labels(model, train, {}) == []


def test_label_zero_is_reduced_in_all_data_sets_or_none():
    train, val = Samples([dict()], classes=("a",)), Samples([dict()], classes=("a",))
    train.reduce_zero_label, val.reduce_zero_label = True, False
    datasets = dict(train_dataloader=train, val_dataloader=val)
    (warning,) = check_labels(BaseSegmentor(1), datasets, {})
    assert "reduce_zero_label=True in train_dataloader.dataset, but not in val_data" in warning
    val.reduce_zero_label = True
    assert check_labels(BaseSegmentor(1), datasets, {}) == []


def test_numbered_folders_need_zero_padding_with_listed_names(tmp_path):
    numbers = [str(label) for label in range(12)]
    write_classes(tmp_path, numbers, numbers, images=1)
    names = [f"kind{label:02}" for label in range(12)]
    (tmp_path / "list.txt").write_text("".join(f"{n}/00.png {n}\n" for n in numbers))
    train = folder_dataset(tmp_path, classes=names, ann_file=str(tmp_path / "list.txt"))
    for settings in ({}, dict(classes=names)):
        val = folder_dataset(tmp_path, "val", **settings)
        with pytest.raises(ConfigError, match=r"pad the numbers of val_dataloader.*with zeros"):
            check_labels(classifier(12), dict(train_dataloader=train, val_dataloader=val), {})
        with pytest.raises(ConfigError, match=r"pad the numbers of test_dataloader.*with zeros"):
            check_labels(classifier(12), dict(test_dataloader=val), {}, trained_on=names)
    val = folder_dataset(tmp_path, "val")
    assert not check_labels(classifier(12), dict(test_dataloader=val), {}, sorted(numbers))


def test_listed_names_and_folders_agree_once_folders_are_named(tmp_path):
    root = write_classes(tmp_path, "ab", "ab")
    (root / "list.txt").write_text("a/00.png 0\nb/00.png 1\n")
    train = folder_dataset(root, classes=["cat", "dog"], ann_file=str(root / "list.txt"))
    datasets = dict(train_dataloader=train, val_dataloader=folder_dataset(root, "val"))
    with pytest.raises(
        ConfigError, match=r"set the class names of that data set \(classes=\[...\]"
    ):
        check_labels(classifier(2), datasets, {})
    datasets["val_dataloader"] = folder_dataset(root, "val", classes=["cat", "dog"])
    assert check_labels(classifier(2), datasets, {}) == []


def test_training_and_validation_folders_may_have_other_names(tmp_path):
    root = write_classes(tmp_path, "ab", "ab")
    datasets = dict(
        train_dataloader=folder_dataset(root, classes=["cat", "dog"]),
        val_dataloader=folder_dataset(root, "val"),
    )
    assert check_labels(classifier(2), datasets, {}, trained_on=["cat", "dog"]) == []
    with pytest.raises(ConfigError, match="the checkpoint's training have different classes"):
        check_labels(classifier(2), datasets, {}, trained_on=["dog", "cat"])

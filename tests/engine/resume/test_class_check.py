import logging
from types import SimpleNamespace

import pytest
from mmengine.runner import BaseLoop

from mim_plugins.engine.resume.class_check import check_classes
from mim_plugins.errors import CheckpointError


class Loop(BaseLoop):
    def __init__(self, dataset):
        self.dataloader = SimpleNamespace(dataset=dataset)

    def run(self):
        raise NotImplementedError


def runner(classes, resume=True, folders=None):
    dataset = SimpleNamespace(metainfo=dict(classes=classes))
    if folders:
        dataset.folder_to_idx = {name: label for label, name in enumerate(folders)}
    logger = logging.getLogger("mim_plugins.test_class_fit")
    return SimpleNamespace(_train_loop=Loop(dataset), _resume=resume, logger=logger)


def checkpoint(classes):
    return dict(meta=dict(dataset_meta=dict(classes=classes)))


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (("a", "b"), "without 'c' and with additional 'a'"),
        (("c", "b"), "in another order: label 0 is 'c', not 'b'"),
        (("b", "c", "d"), "with additional 'd'"),
        (("b",), "without 'c'"),
    ],
)
def test_run_with_other_classes_is_not_resumed(now, told):
    with pytest.raises(CheckpointError, match=rf"'x.pth' was trained on other classes.*{told}"):
        check_classes(runner(now), checkpoint(["b", "c"]), "x.pth")


@pytest.mark.parametrize(
    ("now", "folders", "trained"),
    [
        (("b", "c"), None, ("b", "c")),
        (("cat", "dog"), ("n1", "n2"), ("cat", "dog")),
        (None, None, ("b", "c")),
        (("b", "c"), ("b", "c"), None),
    ],
)
def test_equal_or_missing_classes_pass(now, folders, trained, caplog):
    for resume in (True, False):
        check_classes(runner(now, resume, folders), checkpoint(trained), "x.pth")
    check_classes(SimpleNamespace(_train_loop=dict()), checkpoint(("b", "c")), "x.pth")
    assert not caplog.records


@pytest.mark.parametrize(("now", "warns"), [(("a", "b"), True), (("a", "b", "c"), False)])
def test_equal_number_of_other_classes_is_a_warning(now, warns, caplog):
    check_classes(runner(now, resume=False), checkpoint(("b", "c")), "x.pth")
    assert ["weights of the head" in record.getMessage() for record in caplog.records] == [
        True
    ] * warns

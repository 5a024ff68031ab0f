import pytest
from class_folders import build, classifier
from mmengine.registry import METRICS

from mim_plugins.checks.head_classes import head_classes
from mim_plugins.checks.head_settings import check_head_settings, check_metrics
from mim_plugins.errors import ConfigError

MIXUP = [dict(type="Mixup", alpha=0.8)]


def check(model):
    (head,) = head_classes(model)
    check_head_settings(model, head)


@pytest.mark.parametrize("classes", [2, 4, None])
def test_mixed_labels_need_the_number_of_classes_of_the_head(classes):
    model = classifier(3, preprocessor=dict(num_classes=classes), augments=MIXUP)
    told = rf"data_preprocessor.num_classes={classes}, but model.head.num_classes=3"
    with pytest.raises(ConfigError, match=told):
        check(model)


def test_unmixed_labels_need_no_number_of_classes():
    check(classifier(3, preprocessor=dict(num_classes=None)))
    check(classifier(3, augments=MIXUP))


def head_with(loss):
    return dict(type="LinearClsHead", num_classes=3, in_channels=16, loss=loss)


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (dict(type="LabelSmoothLoss", label_smooth_val=0.1, num_classes=4), "num_classes=4"),
        (dict(type="SeesawLoss", num_classes=1000), "loss_module: num_classes=1000"),
        (dict(type="CrossEntropyLoss", class_weight=[1.0, 2.0]), "class_weight has 2 values"),
    ],
)
def test_losses_with_another_number_of_classes_are_rejected(loss, told):
    with pytest.raises(ConfigError, match=rf"{told}.*model.head.num_classes=3"):
        check(classifier(head=head_with(loss)))


@pytest.mark.parametrize(
    "loss",
    [
        dict(type="LabelSmoothLoss", label_smooth_val=0.1),
        dict(type="SeesawLoss", num_classes=3),
        dict(type="CrossEntropyLoss", class_weight=[1.0, 2.0, 3.0]),
    ],
)
def test_matching_losses_pass(loss):
    check(classifier(head=head_with(loss)))


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (dict(type="Accuracy", topk=(1, 5)), r"Accuracy has topk=\(1, 5\).*set val_.*topk=\(1,\)"),
        (dict(type="Accuracy", topk=4), r"topk=\(4,\).*set val_evaluator.topk=\(1,\)"),
        (dict(type="Accuracy", topk=(1, 2, 9)), r"set val_evaluator.topk=\(1, 2\)"),
        (dict(type="MultiLabelMetric", topk=5), r"topk=5.*num_classes=3"),
    ],
)
def test_metrics_beyond_the_heads_classes_are_rejected(metric, told):
    (head,) = head_classes(classifier(3))
    with pytest.raises(ConfigError, match=told):
        check_metrics("val_evaluator", [build(METRICS, metric)], head)


@pytest.mark.parametrize(
    "metric",
    [
        dict(type="Accuracy", topk=(1, 3)),
        dict(type="MultiLabelMetric", thr=0.5),
        dict(type="SingleLabelMetric"),
        dict(type="AveragePrecision"),
    ],
)
def test_matching_metrics_pass(metric):
    (head,) = head_classes(classifier(3))
    assert check_metrics("val_evaluator", [build(METRICS, metric)], head) == []


def test_another_number_of_classes_in_a_metric_is_a_warning():
    """SingleLabelMetric does not use it if the model returns scores."""
    (head,) = head_classes(classifier(3))
    metric = build(METRICS, dict(type="SingleLabelMetric", num_classes=10))
    (warning,) = check_metrics("val_evaluator", [metric], head)
    assert "num_classes=10, but model.head.num_classes=3" in warning

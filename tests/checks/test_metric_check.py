import pytest
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator

from mim_plugins.checks.metric_check import check_followed_metrics
from mim_plugins.errors import ConfigError


class Accuracy(BaseMetric):
    default_prefix = "accuracy"

    def __init__(self, topk=(1, 5), **settings):
        self.topk = topk
        super().__init__(**settings)

    def process(self, data_batch, data_samples): ...
    def compute_metrics(self, results): ...


class IoUMetric(Accuracy):
    default_prefix = None


class Unknown(Accuracy):
    default_prefix = "own"


def best(monitor):
    return dict(default_hooks=dict(checkpoint=dict(type="CheckpointHook", save_best=monitor)))


def stopping(monitor):
    return dict(custom_hooks=[dict(type="mmengine.EarlyStoppingHook", monitor=monitor)])


def plateau(**settings):
    return dict(param_scheduler=dict(type="ReduceOnPlateauLR", **settings))


@pytest.mark.parametrize(
    ("entries", "metrics", "told"),
    [
        (best("accuracy/top11"), [Accuracy()], r"checkpoint\.save_best.*mean accuracy/top1\?"),
        (best(["accuracy/top1", "top5"]), [Accuracy()], r"save_best='top5'.*accuracy/top5"),
        (best("accuracy/top5"), [Accuracy(topk=(1,))], r"returns accuracy/top1"),
        (best("accuracy/top1"), [Accuracy(prefix="x")], r"returns x/top1, x/top5"),
        (stopping("accuracy/top2"), [Accuracy()], r"custom_hooks\.0\.monitor='accuracy/top2'"),
        (plateau(), [Accuracy()], r"param_scheduler\.0\.monitor='loss'.*returns accuracy/top1"),
        (best("mIou"), [IoUMetric()], r"did you mean mIoU\?"),
        (best("top1"), [Unknown()], r"returns own/\.\.\."),
    ],
)
def test_a_metric_that_no_validation_returns_is_refused(entries, metrics, told):
    with pytest.raises(ConfigError, match=told):
        check_followed_metrics(Config(entries), Evaluator(metrics))


@pytest.mark.parametrize("entries", [best("auto"), stopping("acc"), plateau()])
def test_a_followed_metric_without_validation_is_a_warning(entries):
    (warning,) = check_followed_metrics(Config(entries), None)
    assert "follows a metric of validation, but the run has none" in warning


def test_other_evaluators_may_return_any_metric():
    """Those of several data sets precede the names with that of the data set."""

    class Several(Evaluator):
        pass

    for evaluator in (Several([Accuracy()]), object()):
        assert check_followed_metrics(Config(best("visible/accuracy/top1")), evaluator) == []


@pytest.mark.parametrize(
    ("entries", "metrics"),
    [
        (best("auto"), [Accuracy()]),
        (best(None), [Accuracy()]),
        (best("accuracy/top5"), [Accuracy(topk=(1, 5))]),
        (best("own/anything"), [Accuracy(), Unknown()]),
        (best("anything"), [Unknown(), type("Bare", (Unknown,), dict(default_prefix=None))()]),
        (stopping("aAcc"), [IoUMetric()]),
        (plateau(monitor="accuracy/top1"), [Accuracy()]),
        (dict(param_scheduler=dict(type="LinearLR"), custom_hooks=None), [Accuracy()]),
    ],
)
def test_metrics_that_may_be_returned_pass(entries, metrics):
    assert check_followed_metrics(Config(entries), Evaluator(metrics)) == []

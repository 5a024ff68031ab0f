import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import EarlyStoppingHook, Hook
from tiny_run import ToyImages, ToyModel, toy_runner
from two_processes import in_two_processes

from mim_plugins.engine.guards.guarded_metrics import failed_metrics, guard_metrics


class Failing(BaseMetric):
    """Metric that fails to write at the given moment until there is room."""

    def __init__(self, moment, error):
        super().__init__()
        self.moment, self.error, self.is_full = moment, error, True

    def _write(self, moment):
        if self.is_full and moment == self.moment:
            raise self.error

    def process(self, data_batch, data_samples):
        self.results.append(1)
        self._write("process")

    def compute_metrics(self, results):
        self._write("compute")
        return dict(count=len(results))


class Good(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        return dict(acc=len(results))


class Predicting(ToyModel):
    def forward(self, inputs, data_samples=None, mode="loss"):
        return super().forward(inputs) if mode == "loss" else data_samples


class Watch(Hook):
    """Hook that records the metrics and makes room after the first validation."""

    def __init__(self):
        self.metrics = []

    def after_val_epoch(self, runner, metrics=None):
        self.metrics.append(metrics)
        for metric in runner.val_loop.evaluator.metrics:
            metric.is_full = False


def train(work_dir, metrics, log, hooks=(), **settings):
    watch = Watch()
    loader = dict(batch_size=4, dataset=ToyImages(), sampler=dict(type="DefaultSampler"))
    runner = toy_runner(
        work_dir,
        model=Predicting(),
        hooks=[watch, *hooks],
        train_cfg=dict(type="mim_plugins.ResumableIterLoop", max_iters=2, val_interval=1),
        val_dataloader=loader,
        val_evaluator=metrics,
        val_cfg=dict(),
        **settings,
    )
    runner.logger.addHandler(log)
    runner.train()
    return watch.metrics


@pytest.mark.parametrize("moment", ["process", "compute"])
@pytest.mark.parametrize("save_best", ["count", "acc", "auto"])
def test_metric_that_cannot_write_does_not_end_the_training(tmp_path, caplog, moment, save_best):
    metric = Failing(moment, OSError(28, "No space left on device"))
    found = train(
        tmp_path,
        [metric, Good()],
        caplog.handler,
        checkpoint=dict(save_best=save_best, rule="greater"),
    )
    assert found == [dict(acc=2), dict(count=2, acc=2)]
    texts = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(texts) == 1
    assert "the output of Failing could not be written" in texts[0]
    (best,) = tmp_path.glob("best_*.pth")
    assert best.name == ("best_acc_iter_1.pth" if save_best == "acc" else "best_count_iter_2.pth")


def test_other_errors_of_a_metric_end_the_training(tmp_path, caplog):
    with pytest.raises(KeyError):
        train(tmp_path, [Failing("compute", KeyError("x"))], caplog.handler)


def full_disk(moment="compute"):
    return Failing(moment, OSError(28, "No space left on device"))


def test_first_metric_is_the_best_one_though_a_later_one_failed(tmp_path, caplog):
    checkpoint = dict(save_best="auto", rule="greater")
    train(tmp_path, [Good(), full_disk()], caplog.handler, checkpoint=checkpoint)
    assert [path.name for path in tmp_path.glob("best_*.pth")] == ["best_acc_iter_1.pth"]


@pytest.mark.parametrize("moment", ["process", "compute"])
def test_readers_of_a_failed_metric_skip_the_validation(tmp_path, caplog, moment):
    stopping = [EarlyStoppingHook(name, "greater", strict=True) for name in ("count", "acc")]
    schedulers = [
        dict(type="ReduceOnPlateauLR", monitor=name, rule="greater") for name in ("count", "acc")
    ]
    metrics = [full_disk(moment), Good()]
    watch = train(tmp_path, metrics, caplog.handler, hooks=stopping, param_scheduler=schedulers)
    assert watch == [dict(acc=2), dict(count=2, acc=2)]
    assert [hook.wait_count for hook in stopping] == [0, 1]
    states = torch.load(tmp_path / "iter_2.pth", weights_only=False)["param_schedulers"]
    assert [state["num_bad_epochs"] for state in states] == [0, 0]


def test_reader_of_a_metric_that_does_not_exist_ends_the_run(tmp_path, caplog):
    scheduler = dict(type="ReduceOnPlateauLR", monitor="acc_typo", rule="greater")
    with pytest.raises(KeyError, match="acc_typo"):
        train(tmp_path, [Good()], caplog.handler, param_scheduler=scheduler)


def evaluate_in_a_process(rank):
    metrics = [full_disk(), Good()]
    evaluator, logger = Evaluator(metrics), logging.getLogger("full disk")
    runner = SimpleNamespace(
        logger=logger, hooks=[], _val_loop=SimpleNamespace(evaluator=evaluator)
    )
    guard_metrics(runner)
    for metric in metrics:
        metric.process({}, [])
    results = evaluator.evaluate(2)
    return results, [failed_metrics(runner, results, [name]) for name in ("auto", "count", "acc")]


def test_processes_agree_on_the_metrics_that_failed():
    codes, found = in_two_processes(evaluate_in_a_process)
    assert codes == [0, 0]
    assert found[0] == found[1] == (dict(acc=2), [True, True, False])

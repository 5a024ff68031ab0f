import logging

import pytest
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from tiny_run import ToyImages, ToyModel, toy_runner


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


def train(work_dir, metric, log, **settings):
    watch = Watch()
    loader = dict(batch_size=4, dataset=ToyImages(), sampler=dict(type="DefaultSampler"))
    runner = toy_runner(
        work_dir,
        model=Predicting(),
        hooks=[watch],
        train_cfg=dict(type="mim_plugins.ResumableIterLoop", max_iters=2, val_interval=1),
        val_dataloader=loader,
        val_evaluator=[metric, Good()],
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
        tmp_path, metric, caplog.handler, checkpoint=dict(save_best=save_best, rule="greater")
    )
    assert found == [dict(acc=2), dict(count=2, acc=2)]
    texts = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(texts) == 1
    assert "the output of Failing could not be written" in texts[0]
    (best,) = tmp_path.glob("best_*.pth")
    assert best.name == ("best_acc_iter_1.pth" if save_best == "acc" else "best_count_iter_2.pth")


def test_other_errors_of_a_metric_end_the_training(tmp_path, caplog):
    with pytest.raises(KeyError):
        train(tmp_path, Failing("compute", KeyError("x")), caplog.handler)

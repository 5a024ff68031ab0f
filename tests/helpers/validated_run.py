"""A run whose validations return given numbers, and that can be killed at one of them."""

from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from tiny_run import ToyImages, ToyModel, toy_runner

LOSSES = [1, 2, 3, 4, 0.5, 6, 7, 8, 9, 10, 11, 12]
FINITE = dict(batch_size=4, dataset=ToyImages(), sampler=dict(type="DefaultSampler", shuffle=False))
LOOPS = {
    "epochs": dict(type="mim_plugins.ResumableEpochLoop", max_epochs=6),
    "epochs_seldom": dict(type="mim_plugins.ResumableEpochLoop", max_epochs=6, val_interval=2),
    "epochs_dynamic": dict(
        type="mim_plugins.ResumableEpochLoop",
        max_epochs=6,
        val_interval=3,
        dynamic_intervals=[(4, 1)],
    ),
    "iterations": dict(type="mim_plugins.ResumableIterLoop", max_iters=12, val_interval=2),
}


class Classifier(ToyModel):
    def forward(self, inputs, data_samples=None, mode="loss"):
        return [0] if mode == "predict" else super().forward(inputs, data_samples, mode)


class Loss(BaseMetric):
    """Metric computed from the iteration."""

    default_prefix = "val"

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(loss=LOSSES[self.seen.iterations - 1])


class Seen(Hook):
    """Hook that records learning rates and validated iterations."""

    priority = "LOWEST"

    def __init__(self, stop_before_validation):
        self.stop = stop_before_validation
        self.rates, self.validated = {}, []
        self.iterations = 0

    def before_train(self, runner):
        self.iterations = runner.iter

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        assert runner.model.training
        self.rates[runner.iter] = runner.optim_wrapper.param_groups[0]["lr"]

    def after_train_iter(self, runner, *args, **kwargs):
        self.iterations = runner.iter + 1

    def before_val_epoch(self, runner):
        if self.iterations == self.stop:
            raise KeyboardInterrupt
        self.validated.append(self.iterations)


class Kill(Hook):
    """Hook that ends the run after the given iterations, after all saves."""

    priority = "LOWEST"

    def __init__(self, iterations):
        self.iterations = iterations

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iterations:
            raise KeyboardInterrupt


PLATEAU = dict(type="ReduceOnPlateauLR", monitor="val/loss", factor=0.5, patience=0)
POLY = dict(type="PolyLR", by_epoch=False)


def train(folder, loop, stop=None, resume=False, schedule=PLATEAU, hooks=(), **checkpoint):
    """Train and return learning rates and validations; ``stop`` kills the run at a validation."""
    seen = Seen(stop)
    unit = dict(interval=1, by_epoch=True) if "epochs" in loop else dict(interval=2)
    runner = toy_runner(
        folder,
        Classifier(),
        train_cfg=LOOPS[loop],
        train_dataloader=FINITE,
        checkpoint=unit | checkpoint,
        hooks=[seen, *hooks],
        param_scheduler=schedule,
        val_dataloader=FINITE,
        val_cfg=dict(),
        val_evaluator=Evaluator(Loss(seen)),
        resume=resume,
    )
    try:
        runner.train()
        seen.is_complete = True
    except KeyboardInterrupt:
        assert stop is not None or hooks
    return seen

"""Base of hooks that act every few epochs or iterations of training."""

from mmengine.hooks import Hook
from mmengine.runner import Runner


class IntervalHook(Hook):
    """Hook that calls :meth:`act` every ``interval`` epochs or iterations.

    Args:
        interval: epochs (or iterations) between two calls.
        by_epoch: whether ``interval`` counts epochs or iterations.

    Raises:
        ValueError: ``interval`` is below 1.
    """

    def __init__(self, interval: int, by_epoch: bool) -> None:
        if interval < 1:
            raise ValueError(f"{type(self).__name__}: interval={interval} must be at least 1")
        self.interval = interval
        self.by_epoch = by_epoch

    def act(self, runner: Runner, step: int) -> None:
        """Act after ``step`` completed iterations."""
        raise NotImplementedError

    def after_train_epoch(self, runner: Runner) -> None:
        """Act after every ``interval``-th epoch."""
        if self.by_epoch and self.every_n_epochs(runner, self.interval):
            self.act(runner, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Act after every ``interval``-th iteration."""
        if not self.by_epoch and self.every_n_train_iters(runner, self.interval):
            self.act(runner, runner.iter + 1)

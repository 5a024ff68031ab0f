"""Parts of runs that save checkpoints by time."""

from types import SimpleNamespace

from mmengine.hooks import Hook

from mim_plugins.engine.hooks import AtomicCheckpointHook
from mim_plugins.engine.hooks import timed_checkpoint_hook as module


class Clock(Hook):
    """Clock of the hook, which an iteration and a save advance by the given seconds."""

    priority = "HIGHEST"

    def __init__(self, monkeypatch, iteration=60.0, save=0.0):
        self.now, self.iteration, self.save = 1000.0, iteration, save
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))

    def after_train_iter(self, runner, *args, **kwargs):
        self.now += self.iteration

    def before_save_checkpoint(self, runner, checkpoint):
        self.now += self.save


class Crash(Hook):
    priority = "LOWEST"

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.iteration:
            raise KeyboardInterrupt


def weights_only(folder):
    return AtomicCheckpointHook(
        interval=1, by_epoch=False, save_optimizer=False, filename_tmpl="weights_{}.pth"
    )

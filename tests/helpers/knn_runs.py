"""Runs of MMEngine with KNNHook, on tiny models and images."""

import json

from mmengine.runner import Runner
from tiny_run import MRMAE, tiny_config

from mim_plugins.engine.hooks import KNNHook


def make_config(root, name="run", hook=None, model=MRMAE, epochs=2, **changes):
    """Return the config of a run with 3 iterations per epoch on 18 images."""
    cfg = tiny_config(root.parent, name, model, **changes)
    cfg.train_dataloader.batch_size = 6
    cfg.train_dataloader.dataset.data_prefix = dict(img_path="train")
    cfg.train_cfg = dict(by_epoch=True, max_epochs=epochs)
    cfg.default_hooks.checkpoint = dict(type="CheckpointHook", interval=1)
    cfg.custom_hooks = [] if hook is None else [hook]
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    cfg.log_level = "WARNING"
    return cfg


def make_hook(**changes):
    settings = dict(type="mim_plugins.KNNHook", interval=1, k=3, batch_size=4, num_workers=0)
    return settings | changes


def hook_of(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, KNNHook))


def prepared(root, **changes):
    """Return a runner before its first iteration, and its hook."""
    runner = Runner.from_cfg(make_config(root, hook=make_hook(**changes)))
    runner.train_loop  # noqa: B018  builds the data loader
    runner.call_hook("before_run")
    hook_of(runner).before_train(runner)
    return runner, hook_of(runner)


def records(work_dir, name="vis_data/scalars.json"):
    (file,) = work_dir.glob(f"*/{name}")
    return [json.loads(line) for line in file.read_text().splitlines()]

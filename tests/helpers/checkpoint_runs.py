"""Runs that save checkpoints, and the files that they write."""

from tiny_run import toy_runner

from mim_plugins.engine.hooks import AtomicCheckpointHook


def names(folder):
    return sorted(path.name for path in folder.glob("*.pth*"))


def hook_of(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, AtomicCheckpointHook))


def logged_runner(caplog, *arguments, **settings):
    runner = toy_runner(*arguments, **settings)
    runner.logger.addHandler(caplog.handler)
    return runner


def pointed_at(folder):
    return (folder / "last_checkpoint").read_text()

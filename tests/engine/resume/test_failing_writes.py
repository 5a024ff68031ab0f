"""Errors and kills while a thread writes a checkpoint."""

import random
import threading
import time

import pytest
import torch
from mmengine.hooks import Hook
from tiny_run import toy_runner

from mim_plugins.engine.hooks import AtomicCheckpointHook
from mim_plugins.engine.resume import atomic_local_backend
from mim_plugins.engine.resume.atomic_local_backend import AtomicLocalBackend
from mim_plugins.engine.resume.checkpoint_files import find_file_corruption


def test_error_in_the_thread_is_logged_once_and_tried_again(tmp_path, monkeypatch, caplog):
    original = AtomicLocalBackend.put

    def put(backend, obj, path):
        if threading.current_thread() is not threading.main_thread() and "iter_2" in str(path):
            raise OSError(28, "No space left on device")
        original(backend, obj, path)

    monkeypatch.setattr(AtomicLocalBackend, "put", put)
    runner = toy_runner(tmp_path, iterations=4, checkpoint=dict(max_keep_ckpts=2))
    runner.logger.addHandler(caplog.handler)
    runner.train()
    assert caplog.text.count("iter_2.pth could NOT be saved") == 1
    assert sorted(file.name for file in tmp_path.glob("*.pth")) == ["iter_3.pth", "iter_4.pth"]
    saved = torch.load(tmp_path / "iter_4.pth", weights_only=False)
    assert saved["message_hub"]["runtime_info"]["keep_ckpt_ids"] == [3, 4]


def test_programming_error_in_the_thread_ends_the_run(tmp_path, monkeypatch):
    def put(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(AtomicLocalBackend, "put", put)
    with pytest.raises(ZeroDivisionError):
        toy_runner(tmp_path, iterations=4).train()


class Report(Hook):
    """Hook that sends the iteration and the last checkpoint that is known to be complete."""

    priority = "LOWEST"

    def __init__(self, pipe):
        self.pipe = pipe

    def after_train_iter(self, runner, *args, **kwargs):
        hook = next(hook for hook in runner.hooks if isinstance(hook, AtomicCheckpointHook))
        self.pipe.send((runner.iter + 1, hook.last_ckpt))


def train_until_killed(folder, pipe):
    def slow(path, obj, original=atomic_local_backend.write_with_digest):
        time.sleep(0.003)
        original(path, obj)
        time.sleep(0.003)

    atomic_local_backend.write_with_digest = slow
    toy_runner(
        folder,
        iterations=10**6,
        checkpoint=dict(max_keep_ckpts=1),
        hooks=[Report(pipe)],
        resume=True,
    ).train()


def test_kill_during_a_background_write_keeps_a_complete_file(tmp_path):
    context = torch.multiprocessing.get_context("fork")
    moments = random.Random(0)
    reached = 0
    for _ in range(6):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=train_until_killed, args=(tmp_path, theirs))
        process.start()
        theirs.close()
        last = None
        try:
            first = ours.recv()[0]
            time.sleep(moments.uniform(0.02, 0.2))
            process.kill()
            while True:
                last = ours.recv()[1] or last
        except EOFError:
            process.join()
        assert first >= reached
        reached = int(last.rpartition("_")[2].removesuffix(".pth")) if last else reached
        files = list(tmp_path.glob("iter_*.pth"))
        assert files
        assert [find_file_corruption(file) for file in files] == [None] * len(files)
    assert reached > 6

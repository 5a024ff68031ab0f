import os
import pickle
import select
import signal
import subprocess
import sys
import time

import pytest
from torch.utils.data import DataLoader

from mim_plugins.engine.loops import worker_signals
from mim_plugins.engine.loops.worker_signals import defer_worker_signals


class Numbers:
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return index, os.getpid()


def test_workers_of_a_plain_loader_outlive_signals(tmp_path, monkeypatch):
    loader = DataLoader(
        Numbers(), num_workers=1, worker_init_fn=lambda number: (tmp_path / f"{number}").touch()
    )
    monkeypatch.setattr(worker_signals, "_ignored", {signal.SIGUSR1})
    monkeypatch.setattr(worker_signals, "_CHECK_INTERVAL", 0.05)
    defer_worker_signals(loader)
    once = loader.worker_init_fn
    defer_worker_signals(loader, signals=[signal.SIGUSR2])
    assert loader.worker_init_fn is once
    iterator = iter(loader)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGTERM):
        os.kill(int(next(iterator)[1]), number)
    time.sleep(0.3)  # several checks
    assert [int(batch[0]) for batch in iterator] == list(range(4, 8))
    assert (tmp_path / "0").exists()


def test_spawned_workers_ignore_signals_that_were_added_later(monkeypatch):
    changed = (signal.SIGTERM, signal.SIGUSR1, signal.SIGURG)
    monkeypatch.setattr(worker_signals, "_ignored", {signal.SIGUSR1})
    loader = DataLoader(Numbers(), num_workers=1, multiprocessing_context="spawn")
    defer_worker_signals(loader)
    defer_worker_signals(signals=[signal.SIGURG])
    start = pickle.loads(pickle.dumps(loader.worker_init_fn))
    handlers = [signal.getsignal(number) for number in changed]
    try:
        start(0)
        assert signal.getsignal(signal.SIGURG) == signal.SIG_IGN
    finally:
        for number, handler in zip(changed, handlers, strict=True):
            signal.signal(number, handler)
    assert loader.multiprocessing_context.get_start_method() == "spawn"


def test_loader_without_workers_is_left_as_it_is():
    loader = DataLoader(Numbers())
    defer_worker_signals(loader)
    assert loader.worker_init_fn is loader.multiprocessing_context is None


@pytest.mark.parametrize("order", ["parent_first", "signal_first"])
def test_worker_without_a_parent_ends_after_sigterm(order, monkeypatch):
    monkeypatch.setattr(worker_signals, "_CHECK_INTERVAL", 0.05)
    loader = DataLoader(Numbers(), num_workers=1)
    defer_worker_signals(loader)
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        worker = os.fork()
        if worker == 0:
            loader.worker_init_fn(0)
            os.write(writer, os.getpid().to_bytes(4, "little"))
            time.sleep(60)
        time.sleep(60)
        os._exit(0)
    os.close(writer)
    worker = int.from_bytes(os.read(reader, 4), "little")
    assert worker > 0
    first, second = (worker, parent) if order == "signal_first" else (parent, worker)
    os.kill(first, signal.SIGTERM if first == worker else signal.SIGKILL)
    time.sleep(0.3)
    os.kill(second, signal.SIGTERM if second == worker else signal.SIGKILL)
    os.waitpid(parent, 0)
    assert select.select([reader], [], [], 30)[0] == [reader]  # the end of the worker
    assert os.read(reader, 1) == b""


SCRIPT = """
import multiprocessing, os, signal, time
import torch
from torch.utils.data import DataLoader
from mim_plugins.engine.loops import ResumableDataLoader
from mim_plugins.engine.loops.worker_signals import defer_worker_signals

plain, wrapped = (
    DataLoader(torch.arange(4), num_workers=1, persistent_workers=True) for _ in range(2)
)
for loader in (plain, ResumableDataLoader(wrapped)):
    defer_worker_signals(loader)
    print(len(list(loader)), flush=True)

def serve():
    def flush(*_):
        print("flushed", flush=True)
        os._exit(0)
    signal.signal(signal.SIGTERM, flush)
    ready.set()
    time.sleep(60)

ready = multiprocessing.Event()
multiprocessing.Process(target=serve, daemon=True).start()
ready.wait()
"""


def test_workers_do_not_delay_the_end_of_the_process():
    command = [sys.executable, "-c", SCRIPT]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert result.stdout == "4\n4\nflushed\n"  # a process of the user ends by SIGTERM
    assert "Traceback" not in result.stderr

import os
import signal
import subprocess
import sys
import time

from torch.utils.data import DataLoader

from mim_plugins.engine.loops.worker_signals import defer_worker_signals


class Numbers:
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return index, os.getpid()


def test_workers_of_a_plain_loader_outlive_sigterm(tmp_path):
    loader = DataLoader(
        Numbers(), num_workers=1, worker_init_fn=lambda number: (tmp_path / f"{number}").touch()
    )
    defer_worker_signals(loader)
    once = loader.worker_init_fn
    defer_worker_signals(loader)
    assert loader.worker_init_fn is once
    iterator = iter(loader)
    os.kill(int(next(iterator)[1]), signal.SIGTERM)
    time.sleep(0.2)
    assert [int(batch[0]) for batch in iterator] == list(range(1, 8))
    assert (tmp_path / "0").exists()


SCRIPT = """
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
"""


def test_workers_do_not_delay_the_end_of_the_process():
    command = [sys.executable, "-c", SCRIPT]
    # less than the minute from SIGTERM to the end of a worker
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert result.stdout == "4\n4\n"
    assert "Traceback" not in result.stderr

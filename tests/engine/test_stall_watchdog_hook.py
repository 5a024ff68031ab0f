import json
import time
from types import SimpleNamespace

import pytest
from toy_run import ToyModel, toy_runner
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.engine import StallWatchdogHook


def hang_in_forward(rank, folder, hanging):
    calls = []

    def loss(weight, inputs):
        calls.append(1)
        if rank == hanging and len(calls) == 3:
            time.sleep(60)
        return (weight - inputs.mean()).square().sum()

    runner = toy_runner(
        folder, ToyModel(loss), iterations=5, hooks=[StallWatchdogHook(timeout=2)], **DISTRIBUTED
    )
    runner.logger.error = lambda text: (folder / f"error_{rank}").write_text(text)
    runner.train()


def test_hanging_process_is_named_and_all_end(tmp_path):
    started = time.monotonic()
    codes, _ = in_two_processes(hang_in_forward, tmp_path, 1)
    assert codes == [1, 1]
    assert time.monotonic() - started < 50
    for rank in range(2):
        text = (tmp_path / f"error_{rank}").read_text()
        assert "rank 1 stands still at iteration 3, forward pass" in text


def make(folder, ranks, progress):
    hook = StallWatchdogHook()
    hook._folder = folder
    hook._runner = SimpleNamespace(world_size=ranks)
    for rank, reached in progress.items():
        (folder / f"rank_{rank}.json").write_text(json.dumps(reached))
    return hook


@pytest.mark.parametrize(
    ("progress", "stalled", "text"),
    [
        ({0: (4, 2, 0), 1: (4, 0, 0), 2: (4, 2, 0)}, [1], "rank 1 stands still at iteration 5,"
         " loading data"),
        ({0: (4, 2, 0), 1: (5, 0, 0), 2: (4, 2, 0)}, [0, 2], "rank 0, 2 stands still"),
        ({0: (4, 2, 0), 1: (4, 2, 0), 2: (4, 2, 0)}, [0, 1, 2], "all ranks stand at iteration 5"),
        ({0: (4, 3, 7), 1: (4, 3, 6)}, [1], "no news of rank 2"),
    ],
)  # fmt: skip
def test_who_is_furthest_behind(tmp_path, progress, stalled, text):
    ranks, report = make(tmp_path, 3, progress)._find_stalled()
    assert ranks == stalled
    assert text in report


def test_single_process_is_not_watched(tmp_path):
    toy_runner(tmp_path, hooks=[StallWatchdogHook()]).train()
    assert not (tmp_path / "heartbeats").exists()


def test_healthy_processes_end_well(tmp_path):
    codes, _ = in_two_processes(hang_in_forward, tmp_path, None)
    assert codes == [0, 0]
    assert not list(tmp_path.glob("error_*"))


def test_timeout_must_be_positive():
    with pytest.raises(ValueError, match="timeout=0"):
        StallWatchdogHook(timeout=0)

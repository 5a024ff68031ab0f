import threading
import time

import pytest

from mim_plugins.checkpoints.stall_timeout import TIMEOUT_VARIABLE, run_with_timeout, time_limit
from mim_plugins.errors import CheckpointError


@pytest.fixture(autouse=True)
def limit(monkeypatch):
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.3")


def test_results_and_errors_pass_through():
    assert run_with_timeout(lambda: 3, lambda: 0) == 3
    with pytest.raises(KeyError, match="mine"):
        run_with_timeout(lambda: {}["mine"], lambda: 0)


def test_work_without_progress_ends_after_the_time_limit():
    begin, released = time.monotonic(), threading.Event()
    with pytest.raises(TimeoutError, match=rf"sent 0 bytes in 0\.3 s; {TIMEOUT_VARIABLE}"):
        run_with_timeout(lambda: released.wait(20), lambda: 0)
    released.set()
    assert 0.25 < time.monotonic() - begin < 2


def test_slow_progress_is_a_stall_and_fast_progress_is_not():
    begin = time.monotonic()

    def received_at(rate):
        return lambda: int((time.monotonic() - begin) * rate)

    assert run_with_timeout(lambda: time.sleep(1) or "done", received_at(1e6)) == "done"
    with pytest.raises(TimeoutError):
        run_with_timeout(lambda: time.sleep(1), received_at(1e3))


def test_an_invalid_time_limit_is_refused(monkeypatch):
    for text in ("0", "-1", "soon", "inf", "nan", "1e3"):
        monkeypatch.setenv(TIMEOUT_VARIABLE, text)
        with pytest.raises(CheckpointError, match=f"{TIMEOUT_VARIABLE}='{text}' must be"):
            time_limit()
    monkeypatch.setenv(TIMEOUT_VARIABLE, "")
    assert time_limit() == 60

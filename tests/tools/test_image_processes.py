"""Processes that read images end with their command, however it ends."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from multiprocessing import reduction
from multiprocessing.resource_tracker import ensure_running

import pytest
from archive_files import write_archive
from image_processes import map_images
from tool_runs import TOOLS

from mim_plugins.archives import open_archive, split_address
from mim_plugins.errors import UserError

# large results, so that most of the time a process writes one
SCRIPT = f"""
import signal, sys, time
sys.path.insert(0, {str(TOOLS / "dataset_converters")!r})
from image_processes import map_images

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of shells ignore it
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

def read(address):
    time.sleep(0.002)
    return bytes(300_000)

if __name__ == "__main__":
    print("starting", flush=True)
    try:
        for number, result in enumerate(map_images(read, map(str, range(10**6)), 2)):
            if number == 8:
                print("running", flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
"""

DELAYS = (0, 0.3, "running")


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "program.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def check_ends(program):
    _, err = program.communicate(timeout=10)  # their pipe is open as long as one of them lives
    assert err == ""


@pytest.mark.parametrize(
    ("send", "delay", "number"),
    [
        *((send, delay, signal.SIGINT) for send in (os.killpg, os.kill) for delay in DELAYS),
        *((os.killpg, delay, signal.SIGTERM) for delay in DELAYS[1:]),
    ],
)
def test_signals_end_all_processes_at_once(program, send, delay, number):
    assert program.stdout.readline() == "starting\n"
    if delay == "running":
        assert program.stdout.readline() == "running\n"
    else:
        time.sleep(delay)
    send(program.pid, number)
    check_ends(program)
    assert program.returncode == 128 + number


def test_second_ctrl_c_leaves_no_process(program):
    for line in ("starting\n", "running\n"):
        assert program.stdout.readline() == line
    os.killpg(program.pid, signal.SIGINT)
    os.killpg(program.pid, signal.SIGINT)
    program.communicate(timeout=10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_when_the_first_is_killed(program, number):
    for line in ("starting\n", "running\n"):
        assert program.stdout.readline() == line
    program.send_signal(number)
    check_ends(program)


def test_results_are_in_order_and_few_are_computed_ahead():
    read = []

    def addresses():
        for number in range(200):
            read.append(number)
            yield f"a{number}"

    results = map_images(str.upper, addresses(), 2, chunk=3)
    assert next(results) == "A0"
    assert len(read) <= 60
    assert list(results) == [f"A{number}" for number in range(1, 200)]
    assert list(map_images(str.upper, [], 2)) == []


def test_first_error_is_raised_after_the_results_before_it():
    results = map_images(partial(int, base=10), ["1", "2", "x", "y"], 2, chunk=1)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="'x'"):
        next(results)


FAULTS = """
class TwoParts(Exception):
    def __init__(self, first, second):
        super().__init__(first + second)

class Open(Exception):
    def __reduce__(self):
        raise OSError("a file is open")

def fail(text):
    raise {"t": TwoParts("a", "b"), "o": Open("c"), "v": ValueError("d")}[text]

class Gone:
    def __call__(self, text):
        return text

    def __setstate__(self, state):
        raise FileNotFoundError("e")
"""


@pytest.fixture
def faults(tmp_path, monkeypatch):
    (tmp_path / "faults_of_a_process.py").write_text(FAULTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module("faults_of_a_process")
    del sys.modules["faults_of_a_process"]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("t", RuntimeError, r"^TwoParts\('ab'\)$"),
        ("o", RuntimeError, r"^Open\('c'\)$"),
        ("v", ValueError, r"^d$"),
    ],
)
def test_errors_of_any_class_have_their_traceback(faults, text, kind, message):
    with pytest.raises(kind, match=message) as raised:
        list(map_images(faults.fail, [text], 1))
    assert 'faults_of_a_process.py", line 11, in fail' in str(raised.value.__cause__)


def test_functions_and_results_that_are_not_pickled_are_errors(faults):
    function = faults.Gone()
    function.state = 1
    with pytest.raises(FileNotFoundError, match=r"^e$"):
        list(map_images(function, ["x"], 1))
    with pytest.raises((TypeError, pickle.PicklingError), match="pickle"):
        list(map_images(open, [os.devnull], 1))


def test_processes_start_at_once_and_one_per_chunk(monkeypatch):
    sizes, dump = [], reduction.dump

    def measure(content, file):
        dump(content, file)
        sizes.append(file.tell())

    monkeypatch.setattr(reduction, "dump", measure)
    archives = [bytes(200_000)]
    assert list(map_images(str.upper, "abc", 9, archives, chunk=2)) == ["A", "B", "C"]
    assert len(sizes) == 2 * 2  # of each process, the second with its arguments
    assert max(sizes) < 1 << 16  # which a pipe buffers


def test_killed_process_is_an_error():
    with pytest.raises(UserError, match=r"was killed, .*: try --workers 1$"):
        list(map_images(signal.raise_signal, [0, signal.SIGKILL, 0], 2, chunk=1))


@pytest.mark.parametrize(("free", "started"), [(2, "0"), (8, "[1-5]")])
def test_processes_that_cannot_be_started_are_an_error(free, started):
    ensure_running()  # which keeps descriptors
    held = [os.dup(0) for _ in range(free)]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    message = r"^only {} of 6 processes can be started \(Too many open files\): try --workers [12]$"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(held) + 1, limits[1]))
    try:
        for descriptor in held:
            os.close(descriptor)
        with pytest.raises(UserError, match=message.format(started)):
            list(map_images(str.upper, map(str, range(40)), 6))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_processes_have_the_archives(tmp_path):
    archive = open_archive(str(write_archive(tmp_path / "a.tar", {"a.png": b""}, "tar")))
    archive.path = "name without a suffix"
    address = f"{archive.path}::a.png"
    assert split_address(address) is None
    assert list(map_images(split_address, [address], 1, [archive])) == [(archive.path, "a.png")]

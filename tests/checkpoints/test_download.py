import errno
import hashlib
import os
import threading
import time

import pytest
from faulty_server import faulty_server, head

from mim_plugins.checkpoints import download as module
from mim_plugins.checkpoints.download import cached_path, fetch
from mim_plugins.checkpoints.stall_timeout import TIMEOUT_VARIABLE
from mim_plugins.errors import CheckpointError

BODY = bytes(range(256)) * 40
HALF = len(BODY) // 2
LENGTH = head(Content_Length=len(BODY), ETag='"v1"')


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.4")
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with faulty_server() as running:
        yield running


@pytest.fixture
def get(server, tmp_path):
    """Return a function that downloads a file and returns the content of its copy."""

    def run(*answers, verify=lambda path: None):
        server.answers[:] = answers
        server.requests.clear()
        file = tmp_path / "w.pth"
        return fetch(f"{server.address}/some/w.pth?x=1", verify, file).read_bytes()

    return run


def rest(offset, **changes):
    whole = f"bytes {offset}-{len(BODY) - 1}/{len(BODY)}"
    headers = dict(Content_Length=len(BODY) - offset, Content_Range=whole, ETag='"v1"')
    return head("206 Partial Content", **headers | changes)


def test_a_file_is_downloaded_once_and_verified(server, get, tmp_path):
    seen = []
    answer = server.sends(LENGTH, BODY)
    assert get(answer, verify=lambda path: seen.append(path.read_bytes())) == BODY
    assert seen == [BODY]
    assert get(answer) == BODY
    assert server.requests == []
    assert os.listdir(tmp_path) == ["w.pth"]


@pytest.mark.parametrize(
    ("fault", "reason", "times"),
    [
        ("never answers", "timed out|0 bytes in", 3),
        ("trickles its head", "bytes in 0.4 s", 3),
        ("stalls in the body", "timed out|bytes in", 3),
        ("trickles its body", "bytes in 0.4 s", 3),
        ("drops the connection", f"ended after {HALF} of {len(BODY)} bytes", 3),
        ("announces too much", f"ended after {len(BODY)} of 99999 bytes", 3),
        ("drops a chunk", "IncompleteRead", 3),
        ("sends another protocol", "BadStatusLine", 3),
        ("404", "404", 1),
        ("403", "403", 1),
        ("500", "500", 3),
        ("redirects in circles", "redirect", 1),
    ],
)
def test_faults_raise_one_line_and_leave_no_file(server, get, tmp_path, fault, reason, times):
    nowhere = head("302 Found", Location=f"{server.address}/some/w.pth?x=1", Content_Length=0)
    answer = {
        "never answers": server.stalls_after(),
        "trickles its head": server.trickles_after(b"", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 999),
        "stalls in the body": server.stalls_after(LENGTH, BODY[:HALF]),
        "trickles its body": server.trickles_after(LENGTH, BODY),
        "drops the connection": server.sends(head(Content_Length=len(BODY)), BODY[:HALF]),
        "announces too much": server.sends(head(Content_Length=99999), BODY),
        "drops a chunk": server.sends(head(Transfer_Encoding="chunked"), b"FF\r\nabc"),
        "sends another protocol": server.sends(b"\x16\x03\x01 no http\r\n\r\n"),
        "404": server.sends(head("404 Not Found", Content_Length=0)),
        "403": server.sends(head("403 Forbidden", Content_Length=0)),
        "500": server.sends(head("500 Oops", Content_Length=0)),
        "redirects in circles": server.sends(nowhere),
    }[fault]
    begin = time.monotonic()
    with pytest.raises(CheckpointError, match=reason) as caught:
        get(answer)
    assert time.monotonic() - begin < 8
    message = str(caught.value)
    tried = f", {times} times " if times > 1 else " "
    assert message.startswith(f"'{server.address}/some/w.pth?x=1' cannot be downloaded{tried}(")
    assert "the partial file was removed" in message
    assert "\n" not in message
    assert os.listdir(tmp_path) == []


def test_a_broken_download_resumes_where_it_broke(server, get):
    begin = server.sends(LENGTH, BODY[:HALF])
    assert get(begin, server.sends(rest(HALF), BODY[HALF:])) == BODY
    assert server.requests[1]["range"] == f"bytes={HALF}-"
    assert server.requests[1]["if-range"] == '"v1"'


def test_a_stalled_download_resumes_where_it_stalled(server, get):
    begin = server.stalls_after(LENGTH, BODY[:HALF])
    assert get(begin, server.sends(rest(HALF), BODY[HALF:])) == BODY


@pytest.mark.parametrize("first", ["no tag", "weak tag"])
def test_without_a_strong_tag_the_download_restarts(server, get, first):
    tag = {"weak tag": dict(ETag='W/"v1"')}.get(first, {})
    begin = server.sends(head(Content_Length=len(BODY), **tag), BODY[:HALF])
    assert get(begin, server.sends(LENGTH, BODY)) == BODY
    assert "range" not in server.requests[1]


@pytest.mark.parametrize(
    "second",
    [
        lambda server: server.sends(
            LENGTH, BODY
        ),  # the complete file, whatever range was requested
        lambda server: server.sends(rest(HALF, ETag='"v2"'), b"?" * HALF),
        lambda server: server.sends(rest(HALF, Content_Range="bytes 0-9/10"), BODY),
        lambda server: server.sends(head("416 Range Not Satisfiable", Content_Length=0)),
    ],
)
def test_parts_of_different_files_are_never_joined(server, get, second):
    begin = server.sends(LENGTH, BODY[:HALF])
    assert get(begin, second(server), server.sends(LENGTH, BODY)) == BODY


def test_a_temporary_error_is_retried(server, get):
    assert get(server.sends(head("503 Busy")), server.sends(LENGTH, BODY)) == BODY


def test_an_unverified_file_is_removed(server, get, tmp_path):
    def refuse(path):
        raise CheckpointError(f"'{path}' is a web page")

    with pytest.raises(CheckpointError, match=r"'http://127.*w\.pth.* is a web page .*removed"):
        get(server.sends(head(Content_Length=6), b"<html>"), verify=refuse)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_reported_and_not_retried(server, get, monkeypatch, tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module._Attempt, "_write", full)
    with pytest.raises(CheckpointError, match=r"cannot be stored as .*No space left.*TORCH_HOME"):
        get(server.sends(LENGTH, BODY))
    assert len(server.requests) == 1
    assert os.listdir(tmp_path) == []


def test_nothing_is_written_after_an_attempt_was_stopped(server, tmp_path, monkeypatch):
    file = tmp_path / "x"
    file.touch()
    go_on = threading.Event()

    def answer(connection, _):
        connection.sendall(LENGTH + BODY[:HALF])
        go_on.wait(10)
        connection.sendall(BODY[HALF:])

    server.answers.append(answer)
    attempt = module._Attempt(f"{server.address}/w.pth", file, "")
    errors = []

    def run():
        try:
            attempt.run()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    monkeypatch.setenv(TIMEOUT_VARIABLE, "10")
    thread.start()
    while attempt.received < HALF:
        time.sleep(0.01)
    attempt.stop()
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    go_on.set()
    thread.join(10)
    assert errors
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before


def test_files_of_killed_processes_are_removed_after_a_day(server, get, tmp_path):
    for name, age in (("old", 90000), ("new", 60)):
        folder = tmp_path / f".mim_plugins-{name}"
        folder.mkdir()
        (folder / "half.pth").touch()
        for path in (folder / "half.pth", folder):
            os.utime(path, (time.time() - age,) * 2)
    get(server.sends(LENGTH, BODY))
    assert sorted(os.listdir(tmp_path)) == [".mim_plugins-new", "w.pth"]


def test_copies_of_different_addresses_are_different_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    assert cached_path("https://a/b/swin-0123abcd.pth?download=1#x") == folder / "swin-0123abcd.pth"
    addresses = [f"https://a/{part}" for part in ("b/w.pth", "c/w.pth", "b/w.pth?v=2", "", "..")]
    addresses += ["https://a/%2e%2e", "https://a/b/%2e%2e%2fx.pth"]
    copies = {cached_path(address) for address in addresses}
    assert len(copies) == len(addresses)
    assert {copy.parent for copy in copies} == {folder}
    assert cached_path("https://a/b/w.pth").suffix == ".pth"
    assert cached_path("https://a/b/w.pth") == cached_path("https://a/b/w.pth")


def test_other_processes_report_the_first_ones_error(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "is_main_process", lambda: False)
    monkeypatch.setattr(
        module, "broadcast_object_list", lambda told: told.__setitem__(0, "no file")
    )
    server.answers.append(server.sends(LENGTH, BODY))
    with pytest.raises(CheckpointError, match="no file"):
        fetch(f"{server.address}/w.pth", lambda path: None, tmp_path / "w.pth")
    assert server.requests == []

    monkeypatch.setattr(module, "broadcast_object_list", lambda told: None)
    path = fetch(f"{server.address}/w.pth", lambda path: None, tmp_path / "w.pth")
    assert path.read_bytes() == BODY  # because the first process has another disk

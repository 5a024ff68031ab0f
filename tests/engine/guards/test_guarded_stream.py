import errno
import io
import os
import subprocess
import sys

import pytest

from mim_plugins.engine.guards import GuardedStream, guarded_console
from mim_plugins.engine.guards import guarded_stream as module


class Broken(io.StringIO):
    """Stream that fails while an error is set."""

    code = errno.ENOSPC

    def write(self, text):
        if self.code:
            raise OSError(self.code, os.strerror(self.code))
        return super().write(text)

    def flush(self):
        if self.code:
            raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EAGAIN])
def test_failed_writes_are_dropped_and_logged_once(monkeypatch, code):
    said = []
    monkeypatch.setattr(module, "print_log", lambda text, *_: said.append(text))
    stream = Broken()
    stream.code = code
    guarded = GuardedStream(stream, "the console (stdout)")
    for _ in range(3):
        print("lost", file=guarded, flush=True)
    stream.code = None
    print("kept", file=guarded, flush=True)
    assert stream.getvalue() == "kept\n"
    (text,) = said
    assert text.startswith("the console (stdout) could not be written: [Errno")


def test_failure_is_logged_once_if_only_flushes_fail(monkeypatch):
    class Buffered(Broken):
        def write(self, text):
            return len(text)

    said, guarded = [], GuardedStream(Buffered(), "console")

    def log(text, *_):  # to the same console
        said.append(text)
        print(text, file=guarded, flush=True)

    monkeypatch.setattr(module, "print_log", log)
    for _ in range(3):
        print("lost", file=guarded, flush=True)
    assert len(said) == 1


def test_unencodable_characters_are_escaped():
    raw = io.BytesIO()
    guarded = GuardedStream(io.TextIOWrapper(raw, "ascii"), "console")
    print("é\udcff", file=guarded, flush=True)
    assert raw.getvalue() == b"\\xe9\\udcff\n"


def test_other_attributes_are_those_of_the_stream(tmp_path):
    with (tmp_path / "a").open("w") as file:
        guarded = GuardedStream(file, "console")
        assert (guarded.fileno(), guarded.isatty()) == (file.fileno(), False)


def test_console_is_restored(capsys):
    before = sys.stdout, sys.stderr
    with guarded_console():
        assert isinstance(sys.stdout, GuardedStream)
        print("out")
        print("err", file=sys.stderr)
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("out\n", "err\n")


SCRIPT = """
import sys
from mim_plugins.engine import guarded_console
with guarded_console():
    for _ in range(20000):
        print("a line")
    sys.exit(3)
"""


def test_full_disk_under_the_console_keeps_the_exit_code():
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        code = subprocess.call([sys.executable, "-c", SCRIPT], stdout=full, stderr=full)
    assert code == 3

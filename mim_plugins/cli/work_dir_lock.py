"""Lock that keeps two runs out of one work folder."""

import contextlib
import json
import os
import socket
import stat
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from ..engine.guards.process_identity import machine_id, process_start
from ..errors import WorkDirError

FILE_NAME = "run.lock"
_MAX_LENGTH = 2**16  # characters of a lock
_INTERVAL = 10.0  # seconds
_TIMEOUT = 60.0  # seconds; several intervals, because a machine may be busy


class WorkDirLock:
    """Exclusive lock of a work folder, without file locks of the file system.

    The file ``run.lock`` contains host, process and start time. Its modification time is renewed
    every ``interval`` seconds. The lock of a process that has ended is taken over. On the same
    machine (same boot and same container), this is detected at once. On another machine, the
    modification time is observed for a few intervals, until it is ``timeout`` seconds old by the
    clock of the file system or of the observer, because clocks may differ.

    Args:
        folder: existing work folder.
        interval: seconds between two renewals.
        timeout: seconds without renewal after which a lock of another machine is stale.
        patience: seconds to wait for the end of a run that holds the lock.

    Raises:
        WorkDirError: on entry, if another run holds the lock.
    """

    def __init__(
        self,
        folder: str | Path,
        interval: float = _INTERVAL,
        timeout: float = _TIMEOUT,
        patience: float = 0,
    ) -> None:
        self._file = Path(folder) / FILE_NAME
        self._interval = interval
        self._timeout = timeout
        self._patience = patience
        self._owner = dict(
            host=socket.gethostname(),
            pid=os.getpid(),
            started=datetime.now().astimezone().isoformat(timespec="seconds"),
            machine=machine_id(),
            process_start=process_start(os.getpid()),
            token=uuid.uuid4().hex,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, daemon=True)

    def __enter__(self) -> "WorkDirLock":
        """Acquire the lock."""
        _check_regular(self._file)
        deadline = time.monotonic() + self._patience
        while not self._create():
            owner = _parse(self._file)
            if self._is_alive(owner):
                if time.monotonic() >= deadline:
                    raise WorkDirError(self._refusal(owner))
                time.sleep(self._interval / 10)
            elif self._take_over(owner):
                break
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the lock if this process still owns it."""
        if os.getpid() != self._owner["pid"]:
            return  # in a fork of the owner
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if _parse(self._file) == self._owner:
                self._file.unlink()

    @contextlib.contextmanager
    def _draft(self, content: str) -> Iterator[Path]:
        draft = self._file.with_name(f"{FILE_NAME}.{self._owner['token']}")
        try:
            draft.write_text(content)
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def _create(self) -> bool:
        """Create the file atomically with its content; return False if it exists."""
        with self._draft(json.dumps(self._owner)) as draft:
            try:
                os.link(draft, self._file)
            except FileExistsError:
                # NFS repeats a request whose answer was lost, so the link may be this one
                return draft.stat().st_nlink > 1
            except OSError:  # a file system without hard links
                return self._create_in_place()
            return True

    def _create_in_place(self) -> bool:
        try:
            with self._file.open("x") as file:
                file.write(json.dumps(self._owner))
        except FileExistsError:
            return False
        return True

    def _is_alive(self, owner: dict[str, Any]) -> bool:
        if owner and owner.get("machine") == self._owner["machine"] is not None:
            start = process_start(owner.get("pid"))
            return start is not None and start == owner.get("process_start")
        print(f"checking for at most {self._timeout:g} s whether {_describe(owner)} is alive ...")
        return self._is_renewed()

    def _is_renewed(self) -> bool:
        """Observe the modification time; return whether it changes before the lock is stale."""
        first, since = self._times(self._file), time.monotonic()
        while first is not None:
            now_and_renewal, watched = self._times(self._file), time.monotonic() - since
            if now_and_renewal is None:
                return False
            now, renewal = now_and_renewal
            if renewal != first[1]:
                return True
            # some file systems use the clock of the machine that renews the lock
            is_old = now - renewal > self._timeout and watched > 2.5 * self._interval
            if is_old or watched > self._timeout:
                return False
            time.sleep(self._interval / 10)
        return False

    def _times(self, path: Path) -> tuple[float, float] | None:
        """Return now and a file's modification time by the file system's clock, None if missing."""
        try:
            with (
                self._draft("") as now,
                path.open() as file,
            ):  # opening refreshes the attributes from a server
                return now.stat().st_mtime, os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None

    def _take_over(self, owner: dict[str, Any]) -> bool:
        """Replace a stale lock; return False if another process was faster."""
        claim = self._file.with_name(f"{FILE_NAME}.takeover")
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            _check_regular(claim)
            times = self._times(claim)
            if times is not None and abs(times[0] - times[1]) > self._timeout:
                claim.unlink(missing_ok=True)  # of a process that died during a takeover
            time.sleep(self._interval / 100)
            return False
        try:
            if not self._file.exists() or _parse(self._file) != owner:
                return False
            with self._draft(json.dumps(self._owner)) as draft:
                os.replace(draft, self._file)
            return True
        finally:
            claim.unlink(missing_ok=True)

    def _keep_fresh(self) -> None:
        while not self._stop.wait(self._interval):
            with contextlib.suppress(OSError):
                if _parse(self._file).get("token") == self._owner["token"]:
                    os.utime(self._file)
                elif not self._file.exists() and self._file.parent.is_dir():
                    self._create()  # the folder was emptied

    def _refusal(self, owner: dict[str, Any]) -> str:
        return (
            f"the work folder '{self._file.parent}' is in use by {_describe(owner)}: wait for its"
            " end, stop it, or choose another folder with --work-dir"
        )


def _check_regular(file: Path) -> None:
    """Reject a lock that no run can have created, which would block forever."""
    try:
        mode = file.lstat().st_mode
        if stat.S_ISREG(mode):
            file.open("rb").close()
            return
        problem = "is not a regular file"
    except FileNotFoundError:
        return
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
    raise WorkDirError(
        f"'{file}' {problem}, so it is unknown whether another run uses the folder: remove it if"
        " none does, or choose another folder with --work-dir"
    )


def _parse(file: Path) -> dict[str, Any]:
    """Return the owner of a lock; empty if the file is missing, unreadable or incomplete."""
    try:
        with file.open() as content:
            owner = json.loads(content.read(_MAX_LENGTH))
    except (OSError, ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _describe(owner: dict[str, Any]) -> str:
    if not owner:
        return "another run"
    return f"the run of process {owner.get('pid')} on host '{owner.get('host')}', started " + str(
        owner.get("started")
    )

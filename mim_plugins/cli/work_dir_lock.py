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

from ..errors import WorkDirError

FILE_NAME = "run.lock"
_LONGEST = 2**16  # characters of a lock
_BEAT = 10.0  # seconds
_SILENCE = 60.0  # seconds; several beats, since a machine may be busy


class WorkDirLock:
    """Context that one process holds per work folder; it needs no file locks of the file system.

    The file ``run.lock`` names host, process and start. Its time stamp is renewed every ``beat``
    seconds. A lock is taken over if its process has ended. A process of the same machine (since the
    same boot, in the same container) finds this out at once. One of another machine watches the
    time stamp for some beats, and until it is ``silence`` seconds old by the clock of the file
    system or of the watcher, because clocks may differ.

    Args:
        folder: the work folder, which exists.
        beat: seconds between two renewals.
        silence: seconds without renewal after which a lock of another machine is dead.

    Raises:
        WorkDirError: when entered, if another run holds the folder.
    """

    def __init__(self, folder: str | Path, beat: float = _BEAT, silence: float = _SILENCE) -> None:
        self._file = Path(folder) / FILE_NAME
        self._beat = beat
        self._silence = silence
        self._owner = dict(
            host=socket.gethostname(),
            pid=os.getpid(),
            started=datetime.now().astimezone().isoformat(timespec="seconds"),
            machine=_machine(),
            process_start=_process_start(os.getpid()),
            token=uuid.uuid4().hex,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, daemon=True)

    def __enter__(self) -> "WorkDirLock":
        """Take the lock."""
        self._require_regular()
        while not self._create():
            owner = _parse(self._file)
            if self._is_alive(owner):
                raise WorkDirError(self._refusal(owner))
            if self._take_over(owner):
                break
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release the lock, if it is still this process's own."""
        if os.getpid() != self._owner["pid"]:
            return  # a fork of the owner
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if _parse(self._file) == self._owner:
                self._file.unlink()

    def _require_regular(self) -> None:
        """Refuse what no run can have made, which would block or never go away."""
        try:
            mode = self._file.lstat().st_mode
            if stat.S_ISREG(mode):
                self._file.open("rb").close()
                return
            problem = "is no regular file"
        except FileNotFoundError:
            return
        except OSError as error:
            problem = f"cannot be read ({error.strerror or error})"
        raise WorkDirError(
            f"'{self._file}' {problem}, so whether another run uses the folder is unknown: remove"
            " it if none does, or give this run another folder with --work-dir"
        )

    @contextlib.contextmanager
    def _draft(self, content: str) -> Iterator[Path]:
        draft = self._file.with_name(f"{FILE_NAME}.{self._owner['token']}")
        try:
            draft.write_text(content)
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def _create(self) -> bool:
        """Make the file with its content in one step; return False if there is one."""
        with self._draft(json.dumps(self._owner)) as draft:
            try:
                os.link(draft, self._file)
            except FileExistsError:
                return False
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
            start = _process_start(owner.get("pid"))
            return start is not None and start == owner.get("process_start")
        print(f"checking for {self._silence:g} s at most whether {_describe(owner)} lives ...")
        return self._is_renewed()

    def _is_renewed(self) -> bool:
        """Watch the time stamp until it changes, or has been the same for long enough."""
        first, since = self._times(self._file), time.monotonic()
        while first is not None:
            now_and_renewal, watched = self._times(self._file), time.monotonic() - since
            if now_and_renewal is None:
                return False
            now, renewal = now_and_renewal
            if renewal != first[1]:
                return True
            # some file systems stamp with the clock of the machine that renews
            is_old = now - renewal > self._silence and watched > 2.5 * self._beat
            if is_old or watched > self._silence:
                return False
            time.sleep(self._beat / 10)
        return False

    def _times(self, path: Path) -> tuple[float, float] | None:
        """Return now and a file's time stamp by the file system's clock; None without a file."""
        try:
            with self._draft("") as now, path.open() as file:  # opening asks a server anew
                return now.stat().st_mtime, os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None

    def _take_over(self, owner: dict[str, Any]) -> bool:
        """Replace the lock of a dead owner; return False if another process was faster."""
        claim = self._file.with_name(f"{FILE_NAME}.takeover")
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            times = self._times(claim)
            if times is not None and times[0] - times[1] > self._silence:
                claim.unlink(missing_ok=True)  # of a process that died while it took over
            time.sleep(self._beat / 100)
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
        while not self._stop.wait(self._beat):
            with contextlib.suppress(OSError):
                if _parse(self._file).get("token") == self._owner["token"]:
                    os.utime(self._file)
                elif not self._file.exists() and self._file.parent.is_dir():
                    self._create()  # someone emptied the folder

    def _refusal(self, owner: dict[str, Any]) -> str:
        return (
            f"the work folder '{self._file.parent}' is in use by {_describe(owner)}: wait for its"
            " end, end it, or give this run another folder with --work-dir"
        )


def _parse(file: Path) -> dict[str, Any]:
    """Return the owner that a lock names; empty if it is gone, unreadable or half written."""
    try:
        with file.open() as content:
            owner = json.loads(content.read(_LONGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _describe(owner: dict[str, Any]) -> str:
    if not owner:
        return "another run"
    return f"the run of process {owner.get('pid')} on host '{owner.get('host')}', started " + str(
        owner.get("started")
    )


def _machine() -> str | None:
    """Return what processes have in common that see each other's numbers; None if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _process_start(pid: Any) -> str | None:
    """Return when a process started, in the kernel's ticks; None if it has ended or is unknown."""
    try:
        text = Path(f"/proc/{int(pid)}/stat").read_text()
    except (OSError, TypeError, ValueError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]

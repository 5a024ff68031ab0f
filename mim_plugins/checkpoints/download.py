"""Downloads that end with the complete file, or with one error and no partial file."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from ..errors import CheckpointError
from .stall_timeout import run_with_timeout, time_limit

_ATTEMPTS = 3
_CHUNK = 2**20
_REPORT_EVERY = 10.0  # seconds
_TEMPORARY = (408, 425, 429)  # HTTP status codes; all from 500 are temporary too
_LOCAL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EFBIG)
_FOLDER_PREFIX = ".mim_plugins-"
_ABANDONED_AFTER = 86400.0  # seconds


def fetch(address: str, verify: Callable[[Path], object], path: Path | None = None) -> Path:
    """Return the local copy of the file at an ``http(s)://`` address; download it if necessary.

    An existing copy is used unchanged. A download that breaks off or stalls is retried, and resumed
    where it stopped if the server supports that. All processes of a run must call this function:
    the main process downloads first, then the others, unless they share its disk.

    Args:
        address: URL of the file.
        verify: called with the complete file before it is renamed; if it raises, the file is
            removed.
        path: path of the copy; None for :func:`cached_path`.

    Raises:
        CheckpointError: on all processes, if the file does not exist, the server stalls, or the
            download is incomplete or not verified.
    """
    path = path or cached_path(address)
    failure: CheckpointError | None = None
    if is_main_process():
        try:
            _fetch_if_missing(address, verify, path)
        except CheckpointError as error:
            failure = error
    outcome = [None if failure is None else str(failure)]
    broadcast_object_list(outcome)
    if outcome[0] is not None:
        raise failure or CheckpointError(outcome[0])
    _fetch_if_missing(address, verify, path)
    return path


def cached_path(address: str) -> Path:
    """Return the path in PyTorch's hub folder for the copy of a file, whether it exists or not.

    A name with a hash, as in model zoos, is kept, so copies of other programs are found. Other
    names, such as ``epoch_300.pth``, are not unique: a digest of the address is added.

    Raises:
        CheckpointError: the address is malformed.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises ValueError, too
    except ValueError as error:
        raise CheckpointError(f"'{address}' is not a valid address: {error}; correct it") from error
    name = Path(unquote(parts.path)).name
    if not re.search(r"-[0-9a-f]{8,}\.\w+$", name):
        digest = hashlib.sha256(address.encode()).hexdigest()[:8]
        name = f"{Path(name).stem}-{digest}{Path(name).suffix}"
    return Path(torch.hub.get_dir()).expanduser() / "checkpoints" / name


def is_web_address(text: object) -> bool:
    """Return whether a text is an ``http(s)://`` address, in upper or lower case."""
    return str(text)[:8].lower().startswith(("http://", "https://"))


def _fetch_if_missing(address: str, verify: Callable[[Path], object], path: Path) -> None:
    if path.is_file():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        with tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX, dir=path.parent) as folder:
            partial = Path(folder) / path.name
            partial.touch()
            _download(address, partial)
            try:
                verify(partial)
            except CheckpointError as error:
                text = str(error).replace(str(partial), address)
                raise CheckpointError(f"{text} (its copy was removed)") from error
            os.replace(partial, path)
    except OSError as error:
        raise CheckpointError(
            f"'{address}' cannot be stored as '{path}': {error.strerror or error}; check disk space"
            " and permissions, or set TORCH_HOME to another folder"
        ) from error


def _remove_abandoned(folder: Path) -> None:
    """Remove partial downloads of processes that were killed."""
    for old in folder.glob(f"{_FOLDER_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # another process has just removed it
            last_write = max(path.stat().st_mtime for path in (old, *old.iterdir()))
            if time.time() - last_write > _ABANDONED_AFTER:
                shutil.rmtree(old, ignore_errors=True)


def _download(address: str, partial: Path) -> None:
    """Write the file at ``address`` to ``partial``, in several attempts if necessary."""
    print_log(f"downloading {address}", logger="current")
    validator, count = "", 1
    while failure := _try(attempt := _Attempt(address, partial, validator)):
        if count == _ATTEMPTS or not _may_succeed_later(failure):
            tried = f", {count} times" if count > 1 else ""
            raise CheckpointError(
                f"'{address}' cannot be downloaded{tried} ({type(failure).__name__}:"
                f" {_reason(failure)}); the partial file was removed. Check address and network, or"
                " download it by hand and give its path"
            ) from failure
        print_log(f"{address}: {_reason(failure)}; retrying", logger="current", level=30)
        validator, count = "" if _is_range_error(failure) else attempt.validator, count + 1
        time.sleep(min(1.0, time_limit() / 10))


def _try(attempt: "_Attempt") -> Exception | None:
    """Return the error with which an attempt failed, or None.

    Raises:
        OSError: an error of the local disk.
    """
    try:
        run_with_timeout(attempt.run, lambda: attempt.received)
    except (OSError, HTTPException, ValueError) as error:
        attempt.stop()
        if isinstance(error, CheckpointError) or getattr(error, "errno", None) in _LOCAL_ERRORS:
            raise
        return error
    return None


def _may_succeed_later(error: Exception) -> bool:
    if isinstance(error, HTTPError):
        return error.code >= 500 or error.code in _TEMPORARY or _is_range_error(error)
    return not isinstance(error, ValueError)  # a malformed address


def _is_range_error(error: Exception) -> bool:
    return isinstance(error, HTTPError) and error.code == 416


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _validator(headers: Message) -> str:
    """Return the server's tag for this version of the file; ranges can be requested with it."""
    etag = headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")


def _continues(headers: Message, have: int) -> bool:
    return have > 0 and headers.get("Content-Range", "").startswith(f"bytes {have}-")


class _Attempt:
    """A connection that appends to a file if the server supports it, or else starts anew.

    Args:
        address: URL of the file.
        partial: the local file, which may already contain the beginning.
        validator: the server's tag of the version that was partly received; if empty, the file is
            requested from its beginning.
    """

    def __init__(self, address: str, partial: Path, validator: str) -> None:
        self.address, self.partial, self.validator = address, partial, validator
        self.received = 0
        self._lock, self._stopped = threading.Lock(), False

    def stop(self) -> None:
        """Prevent any further write to the file."""
        with self._lock:
            self._stopped = True

    def run(self) -> None:
        """Send the request and write the response.

        Raises:
            OSError: no connection, an error status, or fewer bytes than announced.
            HTTPException: the response violates the protocol.
        """
        headers = {"User-Agent": "mim_plugins", "Accept-Encoding": "identity"}
        have = self.partial.stat().st_size
        if have and self.validator:
            headers |= {"Range": f"bytes={have}-", "If-Range": self.validator}
        address = quote(self.address, safe="%/:?#[]@!$&'()*+,;=~")  # spaces, other alphabets
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.urlopen(request, timeout=time_limit()) as response:
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.lower() != "identity":
                raise ValueError(f"the server compresses the file ({encoding})")
            before, self.validator = self.validator, _validator(response.headers)
            if response.status != 206:
                have = 0
            elif not _continues(response.headers, have) or self.validator != before:
                self.validator = ""  # the next attempt starts from the beginning
                raise ConnectionError("the server sent another range, or the file has changed")
            total = have + response.length if response.length is not None else None
            size = self._write(response, have, total)
        if total is not None and size < total:
            raise ConnectionError(f"the connection ended after {size} of {total} bytes")

    def _write(self, response: Any, size: int, total: int | None) -> int:
        reported = time.monotonic()
        with self.partial.open("r+b") as file:
            file.truncate(size)
            file.seek(size)
            # not read(), which blocks until the chunk is complete
            while chunk := response.read1(_CHUNK):
                with self._lock:
                    if self._stopped:
                        return size
                    file.write(chunk)
                    file.flush()  # no write may happen after stop()
                size += len(chunk)
                self.received += len(chunk)
                if time.monotonic() - reported > _REPORT_EVERY:
                    reported = time.monotonic()
                    of_total = f" of {total / 1e6:.0f}" if total is not None else ""
                    print_log(f"{size / 1e6:.0f}{of_total} MB downloaded", logger="current")
        return size

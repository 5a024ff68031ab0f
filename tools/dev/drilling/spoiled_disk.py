"""Disk that fails or is slow, simulated in this process."""

import builtins
import os
import time
from pathlib import Path
from typing import Any


class SpoiledDisk:
    """Replaces the functions with which Python writes files, for a number of iterations."""

    def __init__(self) -> None:
        self._left = 0
        self._originals: list[tuple[Any, str, Any]] = []

    def fail(self, folder: str, number: int, iterations: int) -> None:
        """Let all writes below ``folder`` raise the OSError ``number``."""
        root = str(Path(folder).resolve())

        def guarded(original: Any, writes: Any) -> Any:
            def call(path: Any, *args: Any, **kwargs: Any) -> Any:
                if isinstance(path, str | os.PathLike) and writes(*args, **kwargs):
                    file = str(Path(os.fsdecode(path)).absolute())
                    if file.startswith(root):
                        raise OSError(number, os.strerror(number), file)
                return original(path, *args, **kwargs)

            return call

        def is_writing_mode(mode: str = "r", *args: Any, **kwargs: Any) -> bool:
            return bool(set(mode) & set("wax+"))

        def has_writing_flags(flags: int, *args: Any, **kwargs: Any) -> bool:
            return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

        def always(*args: Any, **kwargs: Any) -> bool:
            return True

        self._replace(builtins, "open", guarded(builtins.open, is_writing_mode))
        self._replace(os, "open", guarded(os.open, has_writing_flags))
        for name in ("replace", "rename", "mkdir", "unlink"):
            self._replace(os, name, guarded(getattr(os, name), always))
        self._left = iterations

    def delay(self, seconds: float, iterations: int) -> None:
        """Let every flush to the disk take ``seconds`` longer."""
        original = os.fsync

        def fsync(descriptor: Any) -> None:
            time.sleep(seconds)
            original(descriptor)

        self._replace(os, "fsync", fsync)
        self._left = iterations

    def count_down(self) -> None:
        """Count an iteration; after the last one, the disk works again."""
        self._left -= 1
        if self._left == 0:
            while self._originals:
                setattr(*self._originals.pop())

    def _replace(self, module: Any, name: str, function: Any) -> None:
        self._originals.append((module, name, getattr(module, name)))
        setattr(module, name, function)

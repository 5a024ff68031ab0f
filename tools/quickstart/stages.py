"""Steps that are either complete or done anew, so that an interrupted run can go on."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

MARKER = "complete"


class Stages:
    """Named steps in order, each with a folder of its own below ``root``.

    A folder counts only once its marker, written last, holds ``fingerprint``. What an interrupted
    run completed is kept; after a complete run, or one of another fingerprint, all is done anew.

    Args:
        root: folder of the steps' folders.
        names: the steps, in the order in which they build on each other.
        fingerprint: text that changes with whatever the results depend on.
    """

    def __init__(self, root: Path, names: list[str], fingerprint: str) -> None:
        self.root = root
        self.names = names
        self.fingerprint = fingerprint
        if all(self.is_complete(name) for name in names):
            self._discard(names)

    def is_complete(self, name: str) -> bool:
        """Whether a step of this name and fingerprint was carried to its end."""
        marker = self.root / name / MARKER
        return marker.is_file() and marker.read_text() == self.fingerprint

    def run(self, name: str, title: str, work: Callable[[Path], None]) -> Path:
        """Do ``work`` in an empty folder, unless that is complete; returns the folder.

        Steps after it are discarded when the work has to be done.
        """
        position, start = self.names.index(name), time.monotonic()
        folder = self.root / name
        print(f"[{position + 1}/{len(self.names)}] {title}", flush=True)
        if self.is_complete(name):
            print("      kept from the interrupted run", flush=True)
            return folder
        self._discard(self.names[position:])
        folder.mkdir(parents=True)
        work(folder)
        unfinished = folder / f"{MARKER}.part"
        unfinished.write_text(self.fingerprint)
        unfinished.replace(folder / MARKER)
        print(f"      done in {time.monotonic() - start:.0f} s", flush=True)
        return folder

    def _discard(self, names: list[str]) -> None:
        for name in names:
            (self.root / name / MARKER).unlink(missing_ok=True)
        for name in names:
            if (self.root / name).exists():
                shutil.rmtree(self.root / name)

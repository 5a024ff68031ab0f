"""Steps that are either complete or repeated, which lets an interrupted run continue."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

MARKER = "complete"


class Stages:
    """Named steps in order, each with a separate folder in ``root``.

    A step is complete once its marker, written last, contains ``fingerprint``. Complete steps of an
    interrupted run are kept. After a complete run, or with another fingerprint, all steps are
    repeated.

    Args:
        root: parent of the folders of the steps.
        names: the steps in order; each depends on the earlier ones.
        fingerprint: text that changes with everything that the results depend on.
    """

    def __init__(self, root: Path, names: list[str], fingerprint: str) -> None:
        self.root = root
        self.names = names
        self.fingerprint = fingerprint
        if all(self.is_complete(name) for name in names):
            self._discard(names)

    def is_complete(self, name: str) -> bool:
        """Return whether the step was completed with this fingerprint."""
        marker = self.root / name / MARKER
        return marker.is_file() and marker.read_text() == self.fingerprint

    def run(self, name: str, title: str, work: Callable[[Path], None]) -> Path:
        """Run ``work`` in an empty folder unless the step is complete, and return the folder.

        Running it discards all later steps.
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

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
        groups: the steps in order, in groups; each step depends on all earlier groups.
        fingerprint: text that changes with everything that the results depend on.
    """

    def __init__(self, root: Path, groups: list[list[str]], fingerprint: str) -> None:
        self.root = root
        self.groups = groups
        self.names = [name for group in groups for name in group]
        self.fingerprint = fingerprint
        if all(self.is_complete(name) for name in self.names):
            self._discard(self.names)

    def label(self, name: str) -> str:
        """Return the number of a step among all."""
        return f"[{self.names.index(name) + 1}/{len(self.names)}]"

    def is_complete(self, name: str) -> bool:
        """Return whether the step was completed with this fingerprint."""
        marker = self.root / name / MARKER
        return marker.is_file() and marker.read_text() == self.fingerprint

    def run(self, name: str, title: str, work: Callable[[Path], None]) -> Path:
        """Run ``work`` in an empty folder unless the step is complete, and return the folder."""
        folder = self.root / name
        if self.begin(name, title):
            start = time.monotonic()
            work(folder)
            self.finish(name, time.monotonic() - start)
        return folder

    def begin(self, name: str, title: str) -> bool:
        """Make an empty folder and return True, unless the step is complete.

        The steps of all later groups are discarded.
        """
        print(f"{self.label(name)} {title}", flush=True)
        if self.is_complete(name):
            print("      kept from the interrupted run", flush=True)
            return False
        own = next(number for number, group in enumerate(self.groups) if name in group)
        self._discard([name, *(each for group in self.groups[own + 1 :] for each in group)])
        (self.root / name).mkdir(parents=True)
        return True

    def finish(self, name: str, seconds: float) -> None:
        """Mark a step, which took some seconds, as complete."""
        folder = self.root / name
        unfinished = folder / f"{MARKER}.part"
        unfinished.write_text(self.fingerprint)
        unfinished.replace(folder / MARKER)
        print(f"      {self.label(name)} done in {seconds:.0f} s", flush=True)

    def _discard(self, names: list[str]) -> None:
        for name in names:
            (self.root / name / MARKER).unlink(missing_ok=True)
        for name in names:
            if (self.root / name).exists():
                shutil.rmtree(self.root / name)

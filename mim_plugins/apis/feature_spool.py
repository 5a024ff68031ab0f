"""Features on the disk, in the order of their images."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_CHUNK = 1 << 24  # bytes that are read at once


class FeatureSpool:
    """Arrays of float32 per image and names, one part per process of a run.

    Each process appends to its part, whose images follow those of the part before. Then one process
    reads all parts, a few rows at a time.

    Args:
        folder: existing folder for the parts, which all processes can access.
        shapes: shape of the array of an image by name; may be set later, before reading.
    """

    def __init__(self, folder: Path, shapes: dict[str, tuple[int, ...]] | None = None) -> None:
        self.folder = folder
        self.shapes = shapes or {}

    def append(self, part: int, names: list[str], arrays: dict[str, np.ndarray]) -> None:
        """Append images to a part; each array has a row per image."""
        for name, array in arrays.items():
            self.shapes[name] = array.shape[1:]
            with self._file(part, name).open("ab") as file:
                file.write(np.ascontiguousarray(array, dtype="<f4").tobytes())
        with self._file(part, "names").open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(name)}\n" for name in names)

    def names(self, part: int) -> Iterator[str]:
        """Yield the names of a part's images."""
        if self._file(part, "names").exists():
            with self._file(part, "names").open(encoding="utf-8") as file:
                yield from map(json.loads, file)

    def rows(self, name: str, parts: int, count: int | None = None) -> Iterator[np.ndarray]:
        """Yield the rows of an array in order, ``count`` at a time within each part."""
        shape = self.shapes[name]
        size = int(np.prod(shape)) * 4
        count = count or max(_CHUNK // size, 1)
        for part in range(parts):
            path = self._file(part, name)
            if not path.exists():
                continue
            with path.open("rb") as file:
                while content := file.read(count * size):
                    yield np.frombuffer(content, dtype="<f4").reshape(-1, *shape)

    def _file(self, part: int, name: str) -> Path:
        return self.folder / f"{part}.{name}"

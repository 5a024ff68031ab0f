"""A file backend that removes files later than asked to."""

from typing import Any


class DeferredRemovals:
    """A file backend that puts removals off until :meth:`perform`."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._waiting: list = []

    def __getattr__(self, name: str) -> Any:
        """Return everything else of the backend."""
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        """Note a file."""
        self._waiting.append((self._backend.remove, path))

    def rmtree(self, path: str) -> None:
        """Note a folder."""
        self._waiting.append((self._backend.rmtree, path))

    def perform(self) -> None:
        """Remove what was noted."""
        for remove, path in self._waiting:
            remove(path)

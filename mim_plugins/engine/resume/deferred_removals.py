"""File backend with deferred removals."""

from collections.abc import Collection
from logging import Logger
from typing import Any


class DeferredRemovals:
    """Wrapper of a file backend that defers removals until :meth:`perform`."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._pending: list = []

    def __getattr__(self, name: str) -> Any:
        """Return any other attribute of the backend."""
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        """Schedule the removal of a file."""
        self._pending.append((self._backend.remove, path))

    def rmtree(self, path: str) -> None:
        """Schedule the removal of a folder."""
        self._pending.append((self._backend.rmtree, path))

    def perform(
        self, logger: Logger, errors: tuple[type[Exception], ...], kept: Collection[str] = ()
    ) -> None:
        """Perform the scheduled removals.

        Args:
            logger: logger of a failure.
            errors: types of errors that are only logged.
            kept: paths that have been written since their removal was scheduled.
        """
        try:
            for remove, path in self._pending:
                if path not in kept:
                    remove(path)
        except errors as error:
            logger.warning(f"the previous best checkpoint cannot be removed: {error}")

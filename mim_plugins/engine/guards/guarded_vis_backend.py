"""Visualization backend whose failures do not end the training."""

import contextlib
import logging
from pathlib import Path
from typing import Any

from mmengine.visualization import LocalVisBackend, TensorboardVisBackend
from mmengine.visualization.vis_backend import BaseVisBackend

from .guarded_writes import WRITE_ERRORS, try_writing

_CONTENT = dict(
    add_config="the config",
    add_graph="the graph",
    add_image="a picture",
    add_scalar="a scalar",
    add_scalars="a scalar",
    close="the rest",
)
_PNG_END = b"IEND\xaeB`\x82"


class GuardedVisBackend(BaseVisBackend):
    """Wrapper that forwards all calls to a backend and logs their failures.

    Write errors are always caught. Other errors are caught only after the first successful call,
    because earlier ones come from the config. A removed folder is created again. TensorBoard's
    writer cannot be used after a failure, so it is also replaced.

    Args:
        backend: any visualization backend.
        logger: logger of the failures.
    """

    def __init__(self, backend: BaseVisBackend, logger: logging.Logger) -> None:
        super().__init__(getattr(backend, "_save_dir", None))
        self._backend = backend
        self._logger = logger
        self._has_worked = False
        self._has_failed = False

    def __getattr__(self, name: str) -> Any:  # noqa: D105
        return getattr(self._backend, name)

    def _init_env(self) -> None:
        self._backend._init_env()

    @property
    def experiment(self) -> Any:
        """Return the experiment of the wrapped backend, unguarded."""
        return self._backend.experiment

    def add_config(self, *args: Any, **kwargs: Any) -> None:
        """Log the config."""
        self._call("add_config", *args, **kwargs)

    def add_graph(self, *args: Any, **kwargs: Any) -> None:
        """Log the graph of the model."""
        self._call("add_graph", *args, **kwargs)

    def add_image(self, name: str, image: Any, step: int = 0, **kwargs: Any) -> None:
        """Log a picture."""
        self._call("add_image", name, image, step, **kwargs)

    def add_scalar(self, *args: Any, **kwargs: Any) -> None:
        """Log a scalar."""
        self._call("add_scalar", *args, **kwargs)

    def add_scalars(self, *args: Any, **kwargs: Any) -> None:
        """Log several scalars."""
        self._call("add_scalars", *args, **kwargs)

    def close(self) -> None:
        """Close the wrapped backend."""
        self._call("close")

    def _call(self, method: str, *args: Any, **kwargs: Any) -> None:
        def write() -> None:
            self._repair()
            getattr(self._backend, method)(*args, **kwargs)
            if method == "add_image" and isinstance(self._backend, LocalVisBackend):
                _check_picture(self._backend, *args)

        name = f"{_CONTENT.get(method, method)} of {type(self._backend).__name__}"
        errors = (Exception,) if self._has_worked else WRITE_ERRORS
        succeeded = try_writing(self._logger, name, write, errors)
        self._has_worked = self._has_worked or succeeded
        self._has_failed = not succeeded

    def _repair(self) -> None:
        folder = Path(self._save_dir) if self._save_dir else None
        is_missing = folder is not None and self._has_worked and not folder.is_dir()
        if is_missing and folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        if (is_missing or self._has_failed) and isinstance(self._backend, TensorboardVisBackend):
            with contextlib.suppress(Exception):
                self._backend.close()
            self._backend._env_initialized = False


def _check_picture(backend: LocalVisBackend, name: str, image: Any, step: int) -> None:
    """Check that a picture file is complete, because MMEngine's backend ignores failed writes.

    Raises:
        OSError: the file is missing or incomplete.
    """
    file = Path(backend._img_save_dir) / f"{name}_{step}.png"
    if not file.is_file() or not file.read_bytes().endswith(_PNG_END):
        file.unlink(missing_ok=True)
        raise OSError(f"'{file}' is incomplete")

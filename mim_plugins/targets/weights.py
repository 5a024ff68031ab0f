"""Weights of teachers: files, downloads, and one error for both."""

import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..checkpoints import read_tensors, require_plain, require_weights, run_with_timeout

_ARRAY_SUFFIXES = (".npz", ".npy")  # weights from JAX, which the libraries read themselves

Result = TypeVar("Result")


def import_library(name: str, owner: str) -> Any:
    """Import an optional library.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{owner} needs {name} ({error}): pip install 'mim_plugins[targets]'"
        ) from None


@contextmanager
def reproducible_init() -> Iterator[None]:
    """Draw the initial weights of a teacher from a fixed seed.

    The initialization of the student is then independent of the teacher, and a random teacher,
    which no checkpoint contains, is the same in every process and after a restart.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def warn_random(owner: str, model_name: str) -> None:
    """Warn that the weights of a teacher are random."""
    warnings.warn(
        f"{owner}: pretrained=None, so the targets of '{model_name}' are those of a random"
        " network, which is useful for tests only",
        stacklevel=3,
    )


def from_hub(download: Callable[[], Result], cache_dir: str | None) -> Result:
    """Return the result of ``download``, a library's download from the hub, with a time limit.

    A partial file stays in the cache, and the hub client resumes it next time.

    Raises:
        TimeoutError: see :func:`run_with_timeout`. Other errors are those of the client.
    """
    return run_with_timeout(download, lambda: _cached_bytes(cache_dir))


def _cached_bytes(cache_dir: str | None) -> int:
    """Return the total size of the files in the cache of the hub client."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return 0
    total = 0
    for root in (cache_dir or constants.HF_HUB_CACHE, os.path.join(constants.HF_HOME, "xet")):
        for folder, _, files in os.walk(root):
            for file in files:
                with suppress(OSError):  # renamed in the meantime
                    total += os.lstat(os.path.join(folder, file)).st_size
    return total


def check_file(path: str | Path) -> None:
    """Check the file of a teacher like those of encoders, before a library reads it.

    Raises:
        CheckpointError: the file cannot be read, or its weights are not finite floats.
    """
    if Path(path).suffix not in _ARRAY_SUFFIXES:
        require_weights(read_tensors(path), path)


def check_tensors(content: Mapping[str, Any], source: str) -> None:
    """Check the tensors that a library has read or loaded into a model.

    Raises:
        CheckpointError: they are not finite floats.
    """
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    require_plain(tensors, source)
    require_weights(tensors, source)


def existing_file(value: str, alternative: str) -> str:
    """Return the path in ``pretrained``.

    Raises:
        FileNotFoundError: there is no such file; the message names ``alternative``.
    """
    path = Path(value).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"pretrained='{value}': there is no such file; give an existing one, {alternative}, or"
            " None for random weights"
        )
    return str(path)


def download_error(
    weights: str, repository: str, file: str, error: BaseException, tag: str = ""
) -> FileNotFoundError:
    """Return the error for ``weights`` that cannot be downloaded.

    ``repository`` is that of the hub, or empty for another server. The message recommends setting
    ``tag`` together with the file if it is not empty.
    """
    where = f"'{repository}/{file}' of the hub" if repository else f"'{file}'"
    cached = "if they are cached, set HF_HUB_OFFLINE=1; otherwise " if repository else ""
    option = f", tag='{tag}'" if tag else ""
    return FileNotFoundError(
        f"the weights '{weights}' cannot be downloaded"
        f" ({type(error).__name__}: {_short(str(error), 1, 160)}); {cached}get {where} where there"
        f" is a network, and set pretrained='/path/to/{file}'{option}"
    )


def weights_mismatch_error(value: str, model_name: str, error: Exception) -> ValueError:
    """Return the error for a file that cannot be read or belongs to another model."""
    lines, length = (4, 250) if "state_dict" in str(error) else (1, 160)
    return ValueError(
        f"pretrained='{value}' cannot be loaded into '{model_name}': it is corrupt, belongs to"
        " another model, or contains more than weights"
        f" ({type(error).__name__}: {_short(str(error), lines, length)})"
    )


def _short(text: str, lines: int, length: int) -> str:
    """Return the first ``lines`` of ``text``, each cut to ``length``."""
    kept = [line.strip() for line in text.splitlines() if line.strip()][:lines]
    return "; ".join(line if len(line) <= length else line[:length] + " ..." for line in kept)

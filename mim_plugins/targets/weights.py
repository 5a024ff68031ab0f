"""Where teachers' weights come from, and one clear error when they cannot be had."""

import importlib
import os
import socket
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import torch
from torch import Tensor

from ..checkpoints import read_tensors, require_plain, require_weights, run_with_timeout

_CONNECT_SECONDS = 5.0
_ARRAY_SUFFIXES = (".npz", ".npy")  # of weights from JAX, which the libraries read themselves

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
    """Draw a teacher's initial weights from a seed of their own.

    The student's initialization then does not depend on the teacher, and a random teacher, which
    is in no checkpoint, is the same in every process and after a restart.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def warn_random(owner: str, model_name: str) -> None:
    """Say that a teacher's weights are random."""
    warnings.warn(
        f"{owner}: pretrained=None, so the targets of '{model_name}' are those of a random"
        " network; good for tests only",
        stacklevel=3,
    )


@contextmanager
def fast_hub() -> Iterator[None]:
    """Look only into the local cache while the model hub cannot be reached.

    The hub's client repeats every failed request for about 20 seconds.
    """
    try:
        from huggingface_hub import constants
    except ImportError:
        yield
        return
    offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = offline or not _is_reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline


def _is_reachable(url: str) -> bool:
    if urllib.request.getproxies():
        return True  # not for us to know
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        socket.create_connection((parts.hostname or "", port), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def from_hub(download: Callable[[], Result], cache_dir: str | None) -> Result:
    """Return the result of a library's ``download`` from the hub, unless the server stalls.

    What has come so far stays in the cache, where the hub's client goes on next time.

    Raises:
        TimeoutError: see :func:`run_with_timeout`; other errors are the client's own.
    """
    with fast_hub():
        return run_with_timeout(download, lambda: _cached_bytes(cache_dir))


def _cached_bytes(cache_dir: str | None) -> int:
    """Return the size of all files in the hub's cache."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return 0
    total = 0
    for root in (cache_dir or constants.HF_HUB_CACHE, os.path.join(constants.HF_HOME, "xet")):
        for folder, _, files in os.walk(root):
            for file in files:
                with suppress(OSError):  # it has been renamed
                    total += os.lstat(os.path.join(folder, file)).st_size
    return total


def check_file(path: str | Path) -> None:
    """Check a teacher's file as the files of encoders are checked, before a library reads it.

    Raises:
        CheckpointError: it cannot be read, or holds no finite floats.
    """
    if Path(path).suffix not in _ARRAY_SUFFIXES:
        require_weights(read_tensors(path), path)


def check_tensors(content: Mapping[str, Any], source: str) -> None:
    """Check the tensors that a library has read, or the model that it has loaded.

    Raises:
        CheckpointError: they are no finite floats.
    """
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    require_plain(tensors, source)
    require_weights(tensors, source)


def existing_file(value: str, alternative: str) -> str:
    """The path ``pretrained`` names.

    Raises:
        FileNotFoundError: there is no such file; ``alternative`` tells what else may be given.
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
    """The error to raise when ``weights`` are neither cached nor to be downloaded.

    ``repository`` is the hub's, empty for a file of another server; ``tag`` is to be set beside
    the file, if given.
    """
    where = f"'{repository}/{file}' of the hub" if repository else f"'{file}'"
    beside = f", tag='{tag}'" if tag else ""
    return FileNotFoundError(
        f"the weights '{weights}' are not in the local cache and cannot be downloaded"
        f" ({type(error).__name__}: {_short(str(error), 1, 160)}); get {where} where there is a"
        f" network, and set pretrained='/path/to/{file}'{beside}"
    )


def weights_mismatch_error(value: str, model_name: str, error: Exception) -> ValueError:
    """The error to raise when a file cannot be read or belongs to another model."""
    lines, length = (4, 250) if "state_dict" in str(error) else (1, 160)
    return ValueError(
        f"pretrained='{value}' cannot be loaded into '{model_name}': it is damaged, of another"
        " model, or holds more than weights"
        f" ({type(error).__name__}: {_short(str(error), lines, length)})"
    )


def _short(text: str, lines: int, length: int) -> str:
    """The first ``lines`` of ``text``, each cut to ``length``."""
    kept = [line.strip() for line in text.splitlines() if line.strip()][:lines]
    return "; ".join(line if len(line) <= length else line[:length] + " ..." for line in kept)

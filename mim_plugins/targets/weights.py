"""Where teachers' weights come from, and one clear error when they cannot be had."""

import importlib
import socket
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

_CONNECT_SECONDS = 5.0


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

    The student's initialisation then does not depend on the teacher, and a random teacher, which
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


def cannot_download(
    weights: str, repository: str, file: str, error: Exception, tag: str = ""
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


def does_not_fit(value: str, model_name: str, error: Exception) -> ValueError:
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

"""Reading of untrusted checkpoints without running code from them."""

import pickle
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor

from ..errors import CheckpointError
from ..wording import listed
from .download import cached_path, fetch, is_web_address
from .integrity import find_corrupt_record, find_corruption, has_digest
from .reference import read_reference
from .safe_globals import plain_data_only
from .stall_timeout import time_limit
from .torchscript import is_torchscript
from .weights import extract_weights

_COPY_AGAIN = "download or copy it again"
_FILE_ERRORS = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError)
_LISTED = 5  # files of a folder, if the requested one does not exist


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read the named tensors of a ``.pth``, ``.safetensors`` or reference ``.npz`` file.

    A ``.pth`` may be a bare state dict or contain one under ``state_dict``, ``model`` or
    ``module``. In addition to tensors, it may contain only plain data, NumPy arrays, MMEngine's log
    buffers and ``argparse.Namespace`` (which the MixMIM and MAE authors' scripts store). Addresses
    with a scheme (``https://``, ``s3://``, ...) are downloaded with the same restriction. In an
    ``.npz``, names begin with ``param/``.

    Raises:
        CheckpointError: the file does not exist, is corrupt, or contains code or no tensors.
    """
    if not str(path):
        raise CheckpointError(
            "checkpoint='' is empty: give a checkpoint's path (in a config,"
            " model.backbone.init_cfg.checkpoint), or init_cfg=None for random weights"
        )
    if "://" in str(path):
        return _read_remote(str(path))
    path = Path(path).expanduser()
    begin = first_bytes(path)
    if path.suffix == ".npz":
        return read_reference(path)["param"]
    if is_safetensors(path, begin):
        return _read_safetensors(path)
    with path.open("rb") as file:
        check = find_corruption if has_digest(file) else find_corrupt_record
        corruption = check(file)
    if corruption is not None:
        raise CheckpointError(f"'{path}' is corrupt: {corruption}; {_COPY_AGAIN}")
    load = partial(torch.load, path, map_location="cpu", weights_only=True)
    return extract_weights(_unpickle(load, path), path)


def is_safetensors(path: Path, begin: bytes) -> bool:
    """Return whether a file is one of safetensors, by its suffix or its first bytes."""
    return path.suffix == ".safetensors" or (begin[8:9] == b"{" and not begin.startswith(b"PK"))


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, after checking that it may be a checkpoint.

    Raises:
        CheckpointError: it is missing, empty, unreadable or of another kind.
    """
    if path.is_dir():
        raise CheckpointError(f"'{path}' is a folder, not a checkpoint; {_others(path)}")
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint '{path}': {_others(path.parent)}")
    if not path.is_file():  # opening a pipe would wait forever
        raise CheckpointError(
            f"'{path}' is a pipe, socket or device, not a checkpoint; save it to a file first"
        )
    try:
        with path.open("rb") as file:
            begin = file.read(512)
    except OSError as error:
        raise CheckpointError(f"'{path}' cannot be opened: {error.strerror}") from error
    text = begin.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not begin:
        raise CheckpointError(
            f"'{path}' is empty: the run, copy or download that wrote it was stopped;"
            f" {_COPY_AGAIN}, or give an earlier checkpoint"
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")):
        raise CheckpointError(
            f"'{path}' is a web page (HTML), not a checkpoint: its address leads to a log-in,"
            " confirmation or error page; open the address in a browser and save the file itself"
        )
    if text.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"'{path}' is a Git LFS pointer, not the checkpoint: run 'git lfs pull' in its"
            " repository"
        )
    if begin.startswith(b"PK") and is_torchscript(path):
        raise CheckpointError(
            f"'{path}' is a TorchScript archive (torch.jit.save), a program that may run other"
            " code, so nothing was loaded; get a file that torch.save(model.state_dict(), ...)"
            " wrote from its author. Use OpenAI's CLIP files as OpenCLIPTarget(pretrained=FILE)"
        )
    return begin


def _others(folder: Path) -> str:
    if not folder.is_dir():
        return f"the folder '{folder}' does not exist; correct the path"
    files = sorted(f.name for f in folder.iterdir() if f.suffix in (".pth", ".pt", ".safetensors"))
    if not files:
        return f"no file in '{folder}' ends in .pth, .pt or .safetensors; correct the path"
    return f"correct the path; '{folder}' contains {listed(files, _LISTED)}"


def _read_remote(address: str) -> dict[str, Tensor]:
    if is_web_address(address):
        is_old = cached_path(address).exists()
        path = fetch(address, read_tensors)
        try:
            return read_tensors(path)
        except CheckpointError as error:
            cause = f"delete this copy of '{address}' to download it again" if is_old else address
            raise CheckpointError(f"{error} ({cause})") from error
    if address.endswith((".safetensors", ".npz")):
        raise CheckpointError(
            f"'{address}': only PyTorch files can be read from such an address; download it and"
            " give its path"
        )
    try:
        load = partial(CheckpointLoader.load_checkpoint, address, map_location="cpu")
        with socket_timeout():
            return extract_weights(_unpickle(load, address), address)
    except CheckpointError:
        raise
    except Exception as error:  # each storage backend has its own error types
        raise CheckpointError(
            f"'{address}' cannot be downloaded ({type(error).__name__}: {_reason(error)}); check"
            " address and network, or download it and give its path"
        ) from error


@contextmanager
def socket_timeout() -> Iterator[None]:
    """Set a time limit for the new connections of MMEngine's other schemes, which set none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(time_limit())
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _unpickle(load: Callable[[], object], path: str | Path) -> object:
    try:
        with plain_data_only():
            return load()
    except Exception as error:  # corrupt bytes and absurd sizes raise errors of any type
        if "://" in str(path) and not isinstance(error, _FILE_ERRORS):
            raise  # an error of the storage, not of the file
        code = re.search(r"GLOBAL (\S+)|checkpoint contains ([^;]+);", str(error))
        if code:
            raise CheckpointError(
                f"'{path}' contains more than weights ({code[1] or code[2]}): such objects can run"
                " code, so nothing was loaded; get a file that torch.save(model.state_dict(), ...)"
                " wrote from its author"
            ) from error
        is_truncated = "central directory" in str(error) or isinstance(error, EOFError)
        cause = "it was truncated while being written or copied" if is_truncated else _reason(error)
        cached = ", after deleting its copy in PyTorch's hub folder" if "://" in str(path) else ""
        raise CheckpointError(
            f"'{path}' is corrupt or not a PyTorch checkpoint ({cause}); {_COPY_AGAIN}{cached},"
            " or give another one"
        ) from error


def _reason(error: Exception) -> str:
    """Return the line that states the cause, without PyTorch's advice to run the code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, pickle.UnpicklingError):
        lines = [line for line in lines if line.startswith("Unsupported")]
    return lines[0][:160] if lines else type(error).__name__


@contextmanager
def safetensors_errors(path: Path) -> Iterator[None]:
    """Turn errors of importing and reading safetensors within the block into CheckpointError."""
    try:
        yield
    except ImportError as error:
        raise CheckpointError(
            f"reading '{path}' needs the package safetensors: pip install safetensors"
        ) from error
    except Exception as error:  # types that PyTorch lacks raise errors of any type
        raise CheckpointError(
            f"'{path}' is corrupt or not a safetensors file ({_reason(error)}); {_COPY_AGAIN}"
        ) from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with safetensors_errors(path):
        from safetensors.torch import load_file

        tensors = load_file(path)
    return extract_weights(tensors, path)

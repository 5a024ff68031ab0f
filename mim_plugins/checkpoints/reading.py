"""Reading checkpoints that other people wrote, without running code from them."""

import argparse
import os
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
from .download import cached_path, fetch
from .integrity import find_corruption, has_digest
from .reference import read_reference
from .safe_globals import allow_mmengine_checkpoints
from .stall_timeout import time_limit
from .torchscript import is_torchscript
from .weights import extract_weights

_FETCH_AGAIN = "fetch or copy it again"
_FILE_ERRORS = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError)
_OTHER_FILES = 5  # of a folder, named when a file is missing


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The named tensors of a ``.pth``, ``.safetensors`` or reference ``.npz`` file.

    A ``.pth`` may be a bare state dict or hold one under ``state_dict``, ``model`` or ``module``;
    besides tensors, only plain data, NumPy arrays, MMEngine's log buffers and
    ``argparse.Namespace`` (which the MixMIM and MAE authors' scripts store) are read. An address
    with a scheme (``https://``, ``s3://``, ...) goes through MMEngine's ``CheckpointLoader``, with
    the same restriction. In an ``.npz``, names begin with ``param/``.

    Raises:
        CheckpointError: there is no such file, or it is damaged, holds code, or no tensors.
    """
    if not str(path):
        raise CheckpointError(
            "checkpoint='' names no file: give a checkpoint's path (in a config,"
            " model.backbone.init_cfg.checkpoint), or init_cfg=None for random weights"
        )
    if "://" in str(path):
        return _read_remote(str(path))
    path = Path(path).expanduser()
    begin = _beginning(path)
    if path.suffix == ".npz":
        return read_reference(path)["param"]
    if path.suffix == ".safetensors" or (begin[8:9] == b"{" and not begin.startswith(b"PK")):
        return _read_safetensors(path)
    with path.open("rb") as file:
        corruption = find_corruption(file) if has_digest(file) else None
    if corruption is not None:
        raise CheckpointError(f"'{path}' is corrupt: {corruption}; {_FETCH_AGAIN}")
    load = partial(torch.load, path, map_location="cpu", weights_only=True)
    return extract_weights(_unpickle(load, path), path)


def _beginning(path: Path) -> bytes:
    """The first bytes of a file, once it is clear that it may be a checkpoint."""
    if path.is_dir():
        raise CheckpointError(f"'{path}' is a folder, not a checkpoint; {_others(path)}")
    if not path.exists():
        raise CheckpointError(f"there is no checkpoint '{path}': {_others(path.parent)}")
    try:
        with path.open("rb") as file:
            begin = file.read(512)
    except OSError as error:
        raise CheckpointError(f"'{path}' cannot be opened: {error.strerror}") from error
    text = begin.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not begin:
        raise CheckpointError(
            f"'{path}' is empty: the run, copy or download that wrote it was stopped;"
            f" {_FETCH_AGAIN}, or name an earlier checkpoint"
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")):
        raise CheckpointError(
            f"'{path}' is a web page (HTML), not a checkpoint: its address led to a log-in,"
            " confirmation or error page; open the address in a browser and save the file itself"
        )
    if text.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"'{path}' is a Git LFS pointer, not the checkpoint: run 'git lfs pull' where it came"
            " from"
        )
    if begin.startswith(b"PK") and is_torchscript(path):
        raise CheckpointError(
            f"'{path}' is a TorchScript archive (torch.jit.save), a program that may do more than"
            " hold weights, so nothing of it was loaded; ask its author for a file made by"
            " torch.save(model.state_dict(), ...). OpenAI's CLIP files serve as"
            " OpenCLIPTarget(pretrained=FILE)"
        )
    return begin


def _others(folder: Path) -> str:
    if not folder.is_dir():
        return f"the folder '{folder}' does not exist; correct the path"
    files = sorted(f.name for f in folder.iterdir() if f.suffix in (".pth", ".pt", ".safetensors"))
    if not files:
        return f"no file in '{folder}' ends in .pth, .pt or .safetensors; correct the path"
    more = f" and {len(files) - _OTHER_FILES} more" if len(files) > _OTHER_FILES else ""
    return f"correct the path; '{folder}' holds {', '.join(files[:_OTHER_FILES])}{more}"


@contextmanager
def plain_data_only() -> Iterator[None]:
    """Let ``torch.load`` read weights and what training scripts store beside them, no code.

    The variable makes it so where MMEngine, or PyTorch's download function, ask for everything.
    """
    variable = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(variable)
    allow_mmengine_checkpoints()  # what other loaders may have taken back
    allowed = torch.serialization.get_safe_globals()
    os.environ[variable] = "1"
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            yield
    finally:
        # leaving safe_globals also takes away what was allowed before
        torch.serialization.add_safe_globals(allowed)
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def _read_remote(address: str) -> dict[str, Tensor]:
    if address.startswith(("http://", "https://")):
        is_old = cached_path(address).exists()
        path = fetch(address, read_tensors)
        try:
            return read_tensors(path)
        except CheckpointError as error:
            cause = f"delete this copy of '{address}' to fetch it again" if is_old else address
            raise CheckpointError(f"{error} ({cause})") from error
    if address.endswith((".safetensors", ".npz")):
        raise CheckpointError(
            f"'{address}': only PyTorch files are read from such an address; download it and give"
            " its path"
        )
    try:
        load = partial(CheckpointLoader.load_checkpoint, address, map_location="cpu")
        with _socket_timeout():
            return extract_weights(_unpickle(load, address), address)
    except CheckpointError:
        raise
    except Exception as error:  # each storage has errors of its own
        raise CheckpointError(
            f"'{address}' cannot be fetched ({type(error).__name__}: {_reason(error)}); check"
            " address and network, or download it and give its path"
        ) from error


@contextmanager
def _socket_timeout() -> Iterator[None]:
    """Give a time limit to the connections of MMEngine's other schemes, which set none."""
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
    except Exception as error:  # corrupt bytes and absurd sizes end in errors of any kind
        if "://" in str(path) and not isinstance(error, _FILE_ERRORS):
            raise  # the storage's, not the file's
        code = re.search(r"GLOBAL (\S+)|asks for ([^;]+);", str(error))
        if code:
            raise CheckpointError(
                f"'{path}' holds more than weights ({code[1] or code[2]}): such objects can run"
                " code, so nothing of it was loaded; ask its author for a file made by"
                " torch.save(model.state_dict(), ...)"
            ) from error
        cut_off = "central directory" in str(error) or isinstance(error, EOFError)
        cause = "it was cut off while being written or copied" if cut_off else _reason(error)
        cached = ", after deleting its copy in PyTorch's hub folder" if "://" in str(path) else ""
        raise CheckpointError(
            f"'{path}' is damaged or no PyTorch checkpoint ({cause}); {_FETCH_AGAIN}{cached}, or"
            " name another one"
        ) from error


def _reason(error: Exception) -> str:
    """The line of a message that says what happened, without PyTorch's advice to run the code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, pickle.UnpicklingError):
        lines = [line for line in lines if line.startswith("Unsupported")]
    return lines[0][:160] if lines else type(error).__name__


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointError(
            f"reading '{path}' needs the package safetensors: pip install safetensors"
        ) from error
    try:
        tensors = load_file(path)
    except Exception as error:  # types that PyTorch lacks end in errors of any kind
        raise CheckpointError(
            f"'{path}' is damaged or no safetensors file ({_reason(error)}); {_FETCH_AGAIN}"
        ) from error
    return extract_weights(tensors, path)

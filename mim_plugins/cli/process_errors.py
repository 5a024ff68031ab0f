"""Error messages of a run of several processes, printed once and with their process."""

import hashlib
import os
import re
import socket
import tempfile
import traceback
from pathlib import Path

import torch
from mmengine.logging import MMLogger

_LOST_CONNECTION = re.compile(
    r"gloo|NCCL|Connection (closed|reset|refused)|Broken pipe|Socket (closed|Timeout)",
    re.IGNORECASE,
)
_FROM_BACKEND = re.compile(r"gloo/|ProcessGroup(Gloo|NCCL|MPI)|NCCL (error|communicator)")
_CONSEQUENCE = (
    "error: another process of the run has ended or cannot be reached. Its message contains the"
    " cause; if there is none, see docs/troubleshooting.md, Several processes"
)
_SUFFIX = " (process "
_REPORT = "error_rank_{}.txt"


def process_count() -> int:
    """Return the number of processes of this run, even before the process group exists."""
    if torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return int(os.environ.get("WORLD_SIZE", "1"))


def exit_status(line: str, error: BaseException) -> str | int:
    """Return the argument of ``sys.exit`` for an error in one of several processes.

    The first process of a machine with this error returns a message, the others the code 1. The
    traceback is written to a file next to the log, and the message contains the path. If the error
    is only a lost connection, the message of the process that failed first is repeated, if the work
    folder contains it.

    Args:
        line: message that a single process would exit with.
        error: exception that is being handled.
    """
    line = line.encode(errors="backslashreplace").decode()
    rank = int(os.environ.get("RANK", "0"))
    repeated = None
    folder = _log_folder()
    if _is_consequence(error):
        text = " ".join(str(error).split())
        repeated = _report_of_another(folder, rank)
        line = repeated or f"{_CONSEQUENCE}. The connection failed with: {text}"
    cause = line.rpartition(_SUFFIX)[0] if repeated else line
    if repeated is None:
        file = folder / _REPORT.format(rank) if folder else None
        where = f"{_SUFFIX}{rank} of {process_count()} on host '{socket.gethostname()}'"
        trace = "".join(traceback.format_exception(error))
        message = f"{line}{where}; traceback in {file})" if file else f"{line}{where})"
        if file and not _write(file, f"{message}\n{trace}"):
            message = f"{line}{where})"
        line = message
    cause = _CONSEQUENCE if line.startswith(_CONSEQUENCE) else cause
    return line if _is_first_report(cause) else 1


def _is_consequence(error: BaseException) -> bool:
    """Return whether an error is a lost connection to another process.

    The text alone is not sufficient: image storages lose connections, too.
    """
    if isinstance(error, torch.distributed.DistError):
        return True
    text = str(error)
    if not isinstance(error, RuntimeError) or not _LOST_CONNECTION.search(text):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    origin = Path(frames[-1].filename).as_posix() if frames else "/torch/"
    if "/torch/distributed/" in origin:
        return True
    # C++ code communicates during a backward pass; torch/_utils.py re-raises worker errors
    is_torchs = "/torch/" in origin and not origin.endswith("/torch/_utils.py")
    return is_torchs and bool(_FROM_BACKEND.search(text))


def _log_folder() -> Path | None:
    """Return the log folder, which all processes share; None before it exists."""
    for logger in reversed(MMLogger._instance_dict.values()):
        if logger.log_file:
            return Path(logger.log_file).parent
    return None


def _report_of_another(folder: Path | None, rank: int) -> str | None:
    """Return the message of another process that did not fail by a lost connection."""
    for file in sorted(folder.glob(_REPORT.format("*"))) if folder else []:
        try:
            line = file.read_text(errors="replace").partition("\n")[0]
        except OSError:
            continue
        if file.name != _REPORT.format(rank) and not line.startswith(_CONSEQUENCE):
            return line
    return None


def _write(file: Path, text: str) -> bool:
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:  # must not hide the error that is being reported
        return False
    return True


def _is_first_report(line: str) -> bool:
    """Return whether no other process of this machine and run has printed the message yet."""
    folder = _machine_folder()
    if folder is None:
        return True
    marker = folder / f"reported_{hashlib.sha256(line.encode(errors='replace')).hexdigest()[:16]}"
    try:
        folder.mkdir(exist_ok=True)
        marker.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _machine_folder() -> Path | None:
    """Return a folder shared by the processes of this launch on this machine, None if unknown."""
    if "TORCHELASTIC_ERROR_FILE" in os.environ:  # this file is in a folder per process
        return Path(os.environ["TORCHELASTIC_ERROR_FILE"]).parents[1]
    slurm = ("SLURM_JOB_ID", "SLURM_STEP_ID")
    names = slurm if "SLURM_STEP_ID" in os.environ else ("PMIX_NAMESPACE",)
    if any(name not in os.environ for name in names):
        return None
    start = "_".join(re.sub(r"\W", "_", os.environ[name]) for name in names)
    restarts = os.environ.get("SLURM_RESTART_COUNT", "0")
    return Path(tempfile.gettempdir()) / f"mim_plugins_{os.getuid()}_{start}_{restarts}"

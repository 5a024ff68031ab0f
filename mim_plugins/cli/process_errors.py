"""The error message of a run of several processes: on the console once, with its process."""

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
    "error: another process of the run has ended or cannot be reached. Its message names the cause;"
    " without one, see docs/troubleshooting.md, Several processes"
)
_SUFFIX = " (process "
_REPORT = "error_rank_{}.txt"


def process_count() -> int:
    """Return the number of processes of this run, also before they are connected."""
    if torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return int(os.environ.get("WORLD_SIZE", "1"))


def exit_with(line: str, error: BaseException) -> str | int:
    """Return what a process of a run of several passes to ``sys.exit`` at an error.

    It is a message for the first process of a machine that has this error, and the code 1 for the
    others. The traceback goes into a file beside the log, which the message names.
    An error that is merely the loss of another process takes the message of that process, if the
    work folder holds it.

    Args:
        line: the message that a single process would end with.
        error: which is being handled.
    """
    rank = int(os.environ.get("RANK", "0"))
    folder = _log_folder()
    if _is_consequence(error):
        text = " ".join(str(error).split())
        line = (
            _report_of_another(folder, rank) or f"{_CONSEQUENCE}. Its loss was noticed by: {text}"
        )
    if _SUFFIX not in line:
        file = folder / _REPORT.format(rank) if folder else None
        where = f"{_SUFFIX}{rank} of {process_count()} on host '{socket.gethostname()}'"
        trace = "".join(traceback.format_exception(error))
        told = f"{line}{where}; traceback in {file})" if file else f"{line}{where})"
        if file and not _write(file, f"{told}\n{trace}"):
            told = f"{line}{where})"
        line = told
    told = _CONSEQUENCE if line.startswith(_CONSEQUENCE) else line.partition(_SUFFIX)[0]
    return line if _is_first_to_tell(told) else 1


def _is_consequence(error: BaseException) -> bool:
    """Return whether an error is the loss of another process.

    The text alone does not show it: storages of images lose connections, too.
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
    # in a backward pass, PyTorch's C++ code communicates; its _utils raises errors of workers again
    is_torchs = "/torch/" in origin and not origin.endswith("/torch/_utils.py")
    return is_torchs and bool(_FROM_BACKEND.search(text))


def _log_folder() -> Path | None:
    """Return the folder of the run's log, which all processes share; None before there is one."""
    for logger in reversed(MMLogger._instance_dict.values()):
        if logger.log_file:
            return Path(logger.log_file).parent
    return None


def _report_of_another(folder: Path | None, rank: int) -> str | None:
    """Return the message of a process that failed for a reason of its own."""
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
    except OSError:  # the error that is being reported matters more
        return False
    return True


def _is_first_to_tell(line: str) -> bool:
    """Whether no other process of this machine and run has printed the message yet."""
    folder = _machine_folder()
    if folder is None:
        return True
    mark = folder / f"told_{hashlib.sha256(line.encode(errors='replace')).hexdigest()[:16]}"
    try:
        folder.mkdir(exist_ok=True)
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def _machine_folder() -> Path | None:
    """Return a folder of this start of the run on this machine, if its launcher names one."""
    if "TORCHELASTIC_ERROR_FILE" in os.environ:  # in a folder per process
        return Path(os.environ["TORCHELASTIC_ERROR_FILE"]).parents[1]
    slurm = ("SLURM_JOB_ID", "SLURM_STEP_ID")
    names = slurm if "SLURM_STEP_ID" in os.environ else ("PMIX_NAMESPACE",)
    if any(name not in os.environ for name in names):
        return None
    start = "_".join(re.sub(r"\W", "_", os.environ[name]) for name in names)
    restarts = os.environ.get("SLURM_RESTART_COUNT", "0")
    return Path(tempfile.gettempdir()) / f"mim_plugins_{os.getuid()}_{start}_{restarts}"

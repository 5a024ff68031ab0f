"""Two agents of torchrun on this machine, each with one process, as on two machines."""

import atexit
import itertools
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.launcher import api

from .faults import AGENT_VARIABLE, STOPPED

TOOLS = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOOLS / "misc"))
from restarting_agent import RestartingAgent  # noqa: E402  in the folder inserted above

_AGENTS = 2
_RESTARTS = 1000
_FORK: Any = multiprocessing.get_context("fork")  # a restart repeats no imports


def train(arguments: list[str], logs: Path, record: Path, attempts: int) -> None:
    """Run tools/train.py until it is complete, as a user or scheduler would with ``--resume``.

    Raises:
        RuntimeError: it is not complete after this number of starts.
    """
    for number in range(attempts):
        if _launch(arguments, logs / str(number), record):
            return
        time.sleep(0.5)  # processes that have lost their launcher may still hold the lock
    raise RuntimeError(f"the run does not end; see its logs in '{logs}'")


def _launch(arguments: list[str], logs: Path, record: Path) -> bool:
    """Start both agents and return whether the run is complete.

    The second agent is started again if it is killed, as a scheduler replaces a lost machine. The
    first one is the meeting point, without which the launch ends.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    starts = itertools.count()

    def start(agent: int) -> Any:
        folder = logs / f"{agent}_{next(starts)}"
        process = _FORK.Process(target=_serve, args=(agent, port, arguments, folder))
        process.start()
        return process

    agents = [start(agent) for agent in range(_AGENTS)]
    while sum(agent.is_alive() for agent in agents):  # every call also reaps an ended agent
        time.sleep(0.1)
        _end_orphans(record / STOPPED)
        if agents[1].exitcode == -signal.SIGKILL and agents[0].is_alive():
            agents[1] = start(1)
    return all(agent.exitcode == 0 for agent in agents)


def _end_orphans(file: Path) -> None:
    """End stopped workers whose process has ended; they keep its connections open."""
    for pid in file.read_text().split() if file.exists() else []:
        with suppress(FileNotFoundError, ProcessLookupError):
            if _parent(int(pid)) == 1:
                os.kill(int(pid), signal.SIGKILL)


def _parent(pid: int) -> int:
    """Return the parent of a process (Linux)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _serve(agent: int, port: int, arguments: list[str], logs: Path) -> None:
    """Run one agent."""
    os.environ[AGENT_VARIABLE] = str(agent)
    logs.mkdir(parents=True)
    config = api.LaunchConfig(
        min_nodes=_AGENTS,
        max_nodes=_AGENTS,
        nproc_per_node=1,
        run_id=f"drill_{port}",
        rdzv_backend="c10d",
        rdzv_endpoint=f"127.0.0.1:{port}",
        rdzv_configs=dict(is_host=agent == 0, keep_alive_interval=1),
        max_restarts=_RESTARTS,
        monitor_interval=0.1,
        start_method="fork",
        local_addr="127.0.0.1",
        logs_specs=DefaultLogsSpecs(log_dir=str(logs), redirects=Std.ALL),
    )
    setattr(api, "LocalElasticAgent", RestartingAgent)  # noqa: B010  as tools/misc/launch.py
    with (logs / "agent.log").open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        api.elastic_launch(config, _work)(arguments)


def _work(arguments: list[str]) -> None:
    """Run tools/train.py in a forked process."""
    torch.set_num_threads(1)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.argv = ["train.py", *arguments]
    try:
        runpy.run_path(str(TOOLS / "train.py"), run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # forked processes skip them

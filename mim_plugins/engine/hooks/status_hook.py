"""Hook that keeps a file with the state of a run, for people and monitoring programs."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...registry import HOOKS
from ..guards.guarded_writes import try_writing
from ..guards.process_identity import machine_id, process_start
from ..resume.checkpoint_files import POINTER
from ..status_server import StatusServer
from .corrupt_image_hook import CorruptImageHook
from .restart_hook import read_restarts

FILE_NAME = "status.json"


@HOOKS.register_module()
class StatusHook(Hook):
    """Write the state of the run to ``status.json`` in the work folder.

    The file contains the iteration, the epoch, losses, learning rate and images per second, the
    last checkpoint, the restarts and the number of corrupt images. The main process replaces it
    atomically, at most every ``seconds`` and at the start and the end of the run. It is not flushed
    to the disk, so a write takes well under a millisecond. ``mim-plugins status`` prints it.

    Args:
        seconds: shortest time between two writes.
        prometheus_port: also serve the numbers as Prometheus text on this port of the loopback
            interface, see :class:`StatusServer`. If it is taken, training continues, and each write
            tries again: after a restart, workers of the former process may hold it for seconds.

    Raises:
        ValueError: ``seconds`` is negative, or there is no such port.
        ImportError: prometheus_client is not installed.
    """

    # after the checkpoint hooks, before a preempted run exits (LOWEST, 100)
    priority = 96

    def __init__(self, seconds: float = 10, prometheus_port: int | None = None) -> None:
        if not seconds >= 0:
            raise ValueError(f"StatusHook: seconds={seconds} must be at least 0")
        if prometheus_port is not None and not 0 <= prometheus_port < 2**16:
            raise ValueError(
                f"StatusHook: prometheus_port={prometheus_port} must be between 0 and 65535"
            )
        self.seconds = seconds
        self.prometheus_port = prometheus_port
        self._server: StatusServer | None = None
        self._written = float("-inf")

    def before_train(self, runner: Runner) -> None:
        """Write the first state."""
        self._started = time.time()
        self._write(runner, runner.iter, "running")

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Write the state if the last one is old enough."""
        if time.monotonic() - self._written >= self.seconds:
            self._write(runner, runner.iter + 1, "running")

    def after_train(self, runner: Runner) -> None:
        """Write the final state."""
        self._write(runner, runner.iter, "complete")
        if self._server is not None:
            self._server.close()
            self._server = None

    def _serve(self, runner: Runner, port: int) -> None:
        def start() -> None:
            self._server = StatusServer(port, runner.work_dir)

        name = f"the status on 127.0.0.1:{port}"
        if try_writing(runner.logger, name, start) and self._server is not None:
            runner.logger.info(f"metrics: http://127.0.0.1:{self._server.port}/metrics")

    def _write(self, runner: Runner, iteration: int, state: str) -> None:
        if not is_main_process():
            return
        self._written = time.monotonic()
        file = Path(runner.work_dir, FILE_NAME)
        content = self._content(runner, iteration, state)
        if self.prometheus_port is not None and self._server is None:
            self._serve(runner, self.prometheus_port)
        if self._server is not None:
            self._server.update(content)

        def write() -> None:
            partial = file.with_name(f"{FILE_NAME}.{os.getpid()}.partial")
            partial.write_text(json.dumps(content, indent=1))
            os.replace(partial, file)

        try_writing(runner.logger, f"'{file}'", write)

    def _content(self, runner: Runner, iteration: int, state: str) -> dict[str, Any]:
        scalars = {
            name.removeprefix("train/"): float(buffer.current())
            for name, buffer in runner.message_hub.log_scalars.items()
            if name.startswith("train/") and len(buffer.data[0])
        }
        corrupt = next((hook for hook in runner.hooks if isinstance(hook, CorruptImageHook)), None)
        return dict(
            state=state,
            host=socket.gethostname(),
            pid=os.getpid(),
            machine=machine_id(),
            process_start=process_start(os.getpid()),
            processes=get_world_size(),
            started=self._started,
            updated=time.time(),
            iteration=iteration,
            max_iterations=runner.max_iters,
            epoch=runner.epoch + (state == "running"),
            max_epochs=runner.max_epochs,
            losses={name: value for name, value in scalars.items() if "loss" in name},
            learning_rate=scalars.get("lr"),
            images_per_s=scalars.get("images_per_s"),
            last_checkpoint=_last_checkpoint(runner),
            restarts=read_restarts(runner.work_dir).get("restarts", []),
            corrupt_images=corrupt.count if corrupt else None,
        )


def _last_checkpoint(runner: Runner) -> dict[str, Any] | None:
    """Return path and time of the newest checkpoint, None if there is none yet."""
    pointer = Path(runner.work_dir, POINTER)
    try:
        return dict(path=pointer.read_text(errors="replace"), time=pointer.stat().st_mtime)
    except OSError:
        return None

"""Torchrun's agent, which restarts a run only if that may help, and passes on the cause."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from worker_failures import (
    describe,
    first_failure,
    reached_iteration,
    read_reports,
    restart_may_help,
)

# Newer versions of PyTorch reuse the store with which the processes find each other, so a restarted
# process may connect to the address of an ended one. This option creates a store per attempt.
os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
CAUSE_VARIABLE = "MIM_PLUGINS_RESTART"  # read by mim_plugins.engine.hooks.RestartHook


_PATIENCE = 10  # seconds


class RestartingAgent(LocalElasticAgent):
    """Agent that does not restart after errors of the user.

    The cause of a restart, the iteration reached and the time are passed on to the processes in the
    environment variable ``MIM_PLUGINS_RESTART``.
    """

    has_started = False  # whether any processes of this launch have
    _cause: dict[str, Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        os.environ.pop(CAUSE_VARIABLE, None)  # of an outer or earlier launch

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        RestartingAgent.has_started = True
        return super()._start_workers(worker_group)

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        result = super()._monitor_workers(worker_group)
        if result.state == WorkerState.FAILED:
            rank, failure = first_failure(result.failures)
            report = failure.error_file_data or {}
            self._cause = dict(
                text=describe(rank, failure),
                is_consequence=bool(report.get("is_consequence")),
            )
            if not restart_may_help(result.failures, read_reports(self._folder())):
                self._remaining_restarts = 0
            elif self._remaining_restarts == 0 and worker_group.spec.max_restarts > 0:
                number = worker_group.spec.max_restarts
                print(f"error: no restarts left (MAX_RESTARTS={number})", file=sys.stderr)
        return result

    def _restart_workers(self, worker_group: WorkerGroup) -> None:
        cause = self._cause or dict(text="machines have joined or left", is_consequence=True)
        cause |= dict(iteration=reached_iteration(self._folder()), time=time.time())
        os.environ[CAUSE_VARIABLE] = json.dumps(cause)
        super()._restart_workers(worker_group)
        self._cause = None

    def _shutdown(
        self, death_sig: signal.Signals = signal.SIGTERM, *args: Any, **kwargs: Any
    ) -> None:
        # PyTorch 2.14 also gives a timeout
        if self._cause is not None and self._pcontext is not None:
            # after a failure, the other processes cannot continue, and a frozen one never ends
            self._pcontext.close(death_sig, timeout=_PATIENCE)
        super()._shutdown(death_sig, *args, **kwargs)

    def _folder(self) -> Path:
        """Return the folder of this attempt, with a folder per process."""
        assert self._pcontext is not None
        return Path(self._pcontext.error_files[0]).parents[1]

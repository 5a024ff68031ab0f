"""Run torchrun for dist_train.sh and dist_test.sh, without the launcher's traceback.

With MAX_RESTARTS, a run restarts by itself after failures that are not the user's.

The exit code is that of the process that failed first, such as 85 (saved: start again with
--resume). After a signal that ended a process or the launcher, it is 128 plus the number of the
signal. A process killed by a signal prints no message, so this program prints one.
"""

import logging
import signal
import sys

import torch.distributed.launcher.api
from restarting_agent import RestartingAgent
from torch.distributed import DistNetworkError, DistStoreError
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.rendezvous import (
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousTimeoutError,
)
from torch.distributed.run import get_args_parser, main
from worker_failures import describe, first_failure


def launch() -> None:
    logging.disable(logging.ERROR)  # repeats of the processes' errors, and OMP_NUM_THREADS
    # torchrun has no option for the class of its agent
    torch.distributed.launcher.api.LocalElasticAgent = RestartingAgent  # type: ignore[misc]
    try:
        main()
    except ChildFailedError as error:
        rank, failure = first_failure(error.failures)
        if failure.exitcode >= 0:
            sys.exit(failure.exitcode)
        killed = signal.Signals(-failure.exitcode)
        print(f"error: {describe(rank, failure)}{cause(killed)}", file=sys.stderr)
        sys.exit(128 + killed)
    except SignalException as stop:
        sys.exit(128 + stop.sigval)
    except RendezvousClosedError:
        sys.exit("error: the run has ended on another machine. Its messages contain the cause")
    except (RendezvousTimeoutError, DistStoreError):
        sys.exit("error: too few machines have joined in time: start NNODES of them")
    except (RendezvousConnectionError, DistNetworkError) as error:
        if "EADDRINUSE" in str(error):
            sys.exit("error: the port is taken (address already in use): set PORT=29511")
        options = get_args_parser().parse_args()
        address = options.rdzv_endpoint or f"{options.master_addr}:{options.master_port}"
        if RestartingAgent.has_started:
            sys.exit(
                f"error: the connection to {address} was lost: the launcher or the network there"
                " has failed, or the run has ended there. Its messages contain the cause"
            )
        sys.exit(
            f"error: no connection to {address}: check MASTER_ADDR and PORT (the same on all"
            " machines), that the run has started on that machine, and its firewall"
        )
    except ValueError as error:  # invalid options of torchrun
        sys.exit(f"error: {error}")


def cause(killed: signal.Signals) -> str:
    """Return the usual cause of a signal and its remedy, empty if there is none."""
    if killed == signal.SIGKILL:
        return ", often because the machine is out of memory: reduce train_dataloader.num_workers"
    if killed == signal.SIGBUS:
        return ", often because /dev/shm is full: see docs/troubleshooting.md"
    return ""


if __name__ == "__main__":
    launch()

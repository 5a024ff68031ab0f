"""Run torchrun for dist_train.sh and dist_test.sh, without the launcher's traceback.

The exit code is that of the process that failed first, such as 85 (saved: start again with
--resume). After a signal that ended a process or the launcher, it is 128 plus the number of the
signal. A process killed by a signal prints no message, so this program prints one.
"""

import logging
import signal
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import main

KILLS = (signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV, signal.SIGILL, signal.SIGFPE)


def launch() -> None:
    logging.disable(logging.ERROR)  # repeats of the processes' errors, and OMP_NUM_THREADS
    try:
        main()
    except ChildFailedError as error:
        rank, failure = first_failure(error)
        if failure.exitcode >= 0:
            sys.exit(failure.exitcode)
        killed = signal.Signals(-failure.exitcode)
        print(f"error: process {rank} was ended by {killed.name}{cause(killed)}", file=sys.stderr)
        sys.exit(128 + killed)
    except SignalException as stop:
        sys.exit(128 + stop.sigval)
    except RuntimeError as error:  # DistNetworkError in newer versions
        if "EADDRINUSE" not in str(error):
            raise
        sys.exit("error: the port is taken (address already in use): set PORT=29511")
    except ValueError as error:  # invalid options of torchrun
        sys.exit(f"error: {error}")


def first_failure(error: ChildFailedError) -> tuple[int, ProcessFailure]:
    """Return the failure that caused the others, with its rank.

    A killed process and a process that then loses the connection may be reported at the same time.
    """
    rank, first = error.get_first_failure()
    for other, failure in error.failures.items():
        if -failure.exitcode in KILLS and failure.timestamp <= first.timestamp + 1:
            return other, failure
    return rank, first


def cause(killed: signal.Signals) -> str:
    """Return the usual cause of a signal and its remedy, empty if there is none."""
    if killed == signal.SIGKILL:
        return ", often because the machine is out of memory: reduce train_dataloader.num_workers"
    if killed == signal.SIGBUS:
        return ", often because /dev/shm is full: see docs/troubleshooting.md"
    return ""


if __name__ == "__main__":
    launch()

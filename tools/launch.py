"""torchrun, as dist_train.sh and dist_test.sh use it, without a traceback of its own.

Exit code: that of the process that failed first, such as 85 (saved: start again with --resume), or
128 and the number of the signal that ended a process or all. A process that a signal ended prints
no message, so this program does.
"""

import logging
import signal
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import main

KILLS = (signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV, signal.SIGILL, signal.SIGFPE)


def launch() -> None:
    logging.disable(logging.ERROR)  # what the processes have said already, and OMP_NUM_THREADS
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
        sys.exit("error: another program has the port, address already in use: set PORT=29511")
    except ValueError as error:  # of torchrun's options
        sys.exit(f"error: {error}")


def first_failure(error: ChildFailedError) -> tuple[int, ProcessFailure]:
    """Return the failure that explains the others.

    A process that is killed and one that then loses the connection to it can be found at the same
    time.
    """
    rank, first = error.get_first_failure()
    for other, failure in error.failures.items():
        if -failure.exitcode in KILLS and failure.timestamp <= first.timestamp + 1:
            return other, failure
    return rank, first


def cause(killed: signal.Signals) -> str:
    if killed == signal.SIGKILL:
        return ", often because the machine's memory is full: fewer train_dataloader.num_workers"
    if killed == signal.SIGBUS:
        return ", often because /dev/shm is full: docs/troubleshooting.md"
    return ""


if __name__ == "__main__":
    launch()

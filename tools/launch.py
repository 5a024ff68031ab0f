"""torchrun, as dist_train.sh and dist_test.sh use it, without a traceback of its own.

Exit code: that of the process that failed first, such as 85 (saved: start again with --resume), or
128 and the number of the signal that ended a process or all.
"""

import logging
import signal
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main


def launch() -> None:
    logging.disable(logging.ERROR)  # what the processes have said already, and OMP_NUM_THREADS
    try:
        main()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
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


def cause(killed: signal.Signals) -> str:
    if killed == signal.SIGKILL:
        return ", often because the machine's memory is full: fewer train_dataloader.num_workers"
    if killed == signal.SIGBUS:
        return ", often because /dev/shm is full: docs/troubleshooting.md"
    return ""


if __name__ == "__main__":
    launch()

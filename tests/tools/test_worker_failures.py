"""tools/misc/worker_failures.py, with failures as torchrun reports them."""

import signal
import sys
from types import SimpleNamespace

import pytest
from tool_runs import TOOLS

sys.path.insert(0, str(TOOLS / "misc"))
from worker_failures import (
    describe,
    first_failure,
    reached_iteration,
    restart_may_help,
)


def failure(exitcode, timestamp=100, **report):
    return SimpleNamespace(exitcode=exitcode, timestamp=timestamp, error_file_data=report)


LOST = dict(message="error: lost", can_restart=True, is_consequence=True)
CAUSE = dict(message="error: no space", can_restart=True, is_consequence=False)
TERMINATED = failure(-signal.SIGTERM, 99)


@pytest.mark.parametrize(
    ("failures", "rank", "line"),
    [
        ({0: failure(1, 99, **LOST), 1: failure(-9)}, 1, "process 1 was ended by SIGKILL"),
        ({0: failure(1, 99, **LOST), 1: failure(-9, 120)}, 1, "process 1 was ended by SIGKILL"),
        ({0: failure(1, 99, **LOST), 1: failure(1, **CAUSE)}, 1, "process 1: no space"),
        ({0: failure(1, **LOST)}, 0, "process 0 lost the connection to another process"),
        ({0: TERMINATED, 2: failure(3)}, 2, "process 2 ended with exit code 3"),
        ({0: failure(1, 99, **CAUSE), 1: failure(-9, 105)}, 0, "process 0: no space"),
    ],
)
def test_cause_is_the_failure_that_no_other_explains(failures, rank, line):
    assert first_failure(failures) == (rank, failures[rank])
    assert describe(*first_failure(failures)) == line


@pytest.mark.parametrize(
    ("failures", "reports", "may_help"),
    [
        ({0: failure(-9)}, [], True),
        ({0: failure(1)}, [], True),
        ({0: TERMINATED, 1: failure(1, **CAUSE)}, [CAUSE], True),
        ({0: failure(1, **LOST)}, [LOST, dict(can_restart=False)], False),
        ({0: failure(2)}, [], False),
        ({0: failure(85), 1: TERMINATED}, [], False),
        ({0: failure(130)}, [], False),
        ({0: TERMINATED}, [], False),
    ],
)
def test_restart_may_help_unless_a_person_must_act(failures, reports, may_help):
    assert restart_may_help(failures, reports) == may_help


def test_reached_iteration_is_that_of_the_foremost_process(tmp_path):
    assert reached_iteration(tmp_path) is None
    for rank, text in enumerate(("", "12 40", "13 40")):
        (tmp_path / str(rank)).mkdir()
        (tmp_path / str(rank) / "progress").write_text(text)
    assert reached_iteration(tmp_path) == [13, 40]

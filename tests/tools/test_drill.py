"""tools/dev/drill.py in its short form: one run that survives faults of several kinds."""

import json
import logging
import re
import sys

import pytest
from tool_runs import TOOLS

pytest.importorskip("torch.distributed.elastic")
sys.path.insert(0, str(TOOLS / "dev"))
import drill


@pytest.fixture(autouse=True)
def _quiet():
    """Disable torchrun's log, as tools/misc/launch.py does."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def test_faults_change_no_weight(tmp_path):
    kinds = ["kill", "disk_full", "nan", "loader_killed", "corrupt", "clock", "node"]
    found, different = drill.drill(tmp_path, kinds)
    assert different == []
    assert [outcome.kind for outcome in found] == kinds
    lost = {outcome.kind: outcome.lost for outcome in found}
    assert lost["disk_full"] == lost["clock"] == 0
    # saved every second iteration; a fault may hit while the newest file is incomplete
    assert max(lost["kill"], lost["loader_killed"], lost["node"]) <= 4
    assert 1 <= lost["corrupt"] <= 6  # the newest checkpoint was corrupt
    restarts = json.loads((tmp_path / "disturbed/restarts.json").read_text())["restarts"]
    # a non-finite loss is not restarted, so the last launch has the restarts after it
    assert len(restarts) == 3
    # torchrun passes on only one failure of forked processes: the cause or its consequence
    assert all(re.match(r"restart \d with 2 processes: ", line) for line in restarts)
    assert (tmp_path / "disturbed/non_finite_loss.txt").is_file()


def test_table_has_a_row_for_each_kind():
    outcomes = [drill.Outcome("kill", 1, 2.0), drill.Outcome("nan", 0, 1.0)]
    outcomes.append(drill.Outcome("kill", 3, 6.0))
    rows = drill.table(outcomes).splitlines()[2:]
    assert rows == ["| `kill` | 2 | 3 | 4.0 | 6.0 |", "| `nan` | 1 | 0 | 1.0 | 1.0 |"]

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
    kinds = ["kill", "disk", "nan", "corrupt"]
    found, different = drill.drill(tmp_path, kinds)
    assert different == []
    assert [outcome.kind for outcome in found] == kinds
    lost = {outcome.kind: outcome.lost for outcome in found}
    assert lost["disk"] == 0
    assert lost["kill"] <= 2  # saved every second iteration
    assert 2 <= lost["corrupt"] <= 4  # the newest checkpoint was corrupt
    restarts = json.loads((tmp_path / "disturbed/restarts.json").read_text())["restarts"]
    # a non-finite loss is not restarted, so the last launch has one restart
    assert len(restarts) == 1
    # with forked processes, torchrun passes on only one failure: the kill or its consequence
    assert re.match(
        "restart 1 with 2 processes: process [01] (was ended by SIGKILL|lost)", restarts[0]
    )
    assert (tmp_path / "disturbed/non_finite_loss.txt").is_file()

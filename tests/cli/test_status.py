import json
import os

import pytest

from mim_plugins.cli.status import print_status, read_status, run_state, status_lines
from mim_plugins.engine.guards.process_identity import machine_id, process_start
from mim_plugins.errors import WorkDirError

STATUS = dict(
    state="running", host="node", pid=os.getpid(), processes=2, updated=1000.0,
    machine=machine_id(), process_start=process_start(os.getpid()),
    iteration=30, max_iterations=120, epoch=2, max_epochs=4, losses=dict(loss=0.51234),
    images_per_s=99.96, last_checkpoint=dict(path="run/iter_20.pth", time=900.0),
    restarts=["restart 1 with 2 processes: process 1 was ended by SIGKILL"], corrupt_images=3,
)  # fmt: skip


def test_lines_contain_every_figure():
    text = "\n".join(status_lines(STATUS, now=1065.0))
    for part in (
        "state: running", "2 processes", "updated 1 min 5 s ago", "30 of 120 (25.0 %)",
        "epoch: 2 of 4", "loss: 0.5123", "images/s: 100.0", "run/iter_20.pth (19",
        "corrupt images: 3", "restarts: 1\n  restart 1 with 2 processes",
    ):  # fmt: skip
        assert part in text
    first = status_lines(STATUS | dict(last_checkpoint=None, losses={}), now=1000.0)
    assert "last checkpoint: none" in first


def test_state_comes_from_the_process_or_the_age():
    ended = os.fork()
    if not ended:
        os._exit(0)
    os.waitpid(ended, 0)
    assert run_state(STATUS, now=1e6) == "running"
    assert run_state(STATUS | dict(pid=ended), now=1000.0) == "dead"
    # a container that starts again gives its processes the same numbers
    assert run_state(STATUS | dict(process_start="1"), now=1000.0) == "dead"
    elsewhere = STATUS | dict(machine="another boot", pid=ended)
    assert run_state(elsewhere, now=1060.0) == "running"
    assert run_state(elsewhere, now=1300.0) == "dead"
    assert run_state(elsewhere | dict(state="complete"), now=1300.0) == "complete"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no"), ("{", "cannot be read"), ("[]", "is corrupt"), ("{}", "is corrupt")],
)
def test_missing_and_corrupt_files_are_reported(tmp_path, content, message):
    if content is not None:
        (tmp_path / "status.json").write_text(content)
    with pytest.raises(WorkDirError, match=message):
        read_status(tmp_path)


@pytest.mark.parametrize("change", [dict(updated="x"), dict(losses=[1]), dict(last_checkpoint=[1])])
def test_content_of_another_form_is_reported(tmp_path, change):
    (tmp_path / "status.json").write_text(json.dumps(STATUS | change))
    with pytest.raises(WorkDirError, match=r"status\.json' is corrupt"):
        print_status(tmp_path)

import pytest

from mim_plugins.cli import work_folder_runs
from mim_plugins.cli.main import main
from mim_plugins.errors import WorkDirError


def test_work_folder_reaches_the_run(monkeypatch):
    given = []
    monkeypatch.setattr(work_folder_runs, "resume", given.append)
    main(["resume", "work_dirs/run"])
    assert given == ["work_dirs/run"]


def test_errors_of_the_user_end_in_one_line(monkeypatch):
    def refuse(run):
        raise WorkDirError(f"there is no work folder '{run}'")

    monkeypatch.setattr(work_folder_runs, "resume", refuse)
    with pytest.raises(SystemExit, match="error: there is no work folder 'run'"):
        main(["resume", "run"])

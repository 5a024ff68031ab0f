import json

from mim_plugins.engine.guards.failure_report import report_failure


def test_first_report_of_a_process_counts(tmp_path, monkeypatch):
    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    report_failure("first", can_restart=False)
    report_failure("second", can_restart=True)
    report = json.loads(file.read_text())
    assert (report["message"], report["can_restart"]) == ("first", False)
    assert [path.name for path in tmp_path.iterdir()] == ["error.json"]


def test_slurm_mark_is_written_only_if_a_restart_cannot_help(tmp_path, monkeypatch):
    mark = tmp_path / "no_restart"
    monkeypatch.delenv("TORCHELASTIC_ERROR_FILE", raising=False)
    monkeypatch.setenv("MIM_PLUGINS_NO_RESTART", str(mark))
    report_failure("connection lost", can_restart=True)
    assert not mark.exists()
    report_failure("wrong config", can_restart=False)
    assert mark.read_text() == "wrong config\n"


def test_failed_report_hides_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "missing/error.json"))
    report_failure("cause", can_restart=True)
    assert not list(tmp_path.iterdir())

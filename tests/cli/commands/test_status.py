import pytest

from mim_plugins.cli import status
from mim_plugins.cli.main import main


@pytest.mark.parametrize(("options", "as_json"), [([], False), (["--json"], True)])
def test_work_folder_and_form_reach_the_output(monkeypatch, options, as_json):
    given = []
    monkeypatch.setattr(status, "print_status", lambda *values: given.append(values))
    main(["status", "work_dirs/run", *options])
    assert given == [("work_dirs/run", as_json)]


def test_a_folder_without_a_run_ends_in_one_line(tmp_path):
    with pytest.raises(SystemExit) as caught:
        main(["status", str(tmp_path)])
    assert str(caught.value).startswith("error: ")
    assert "\n" not in str(caught.value)

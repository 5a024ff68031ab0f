"""Progress of commands."""

from mim_plugins.cli.progress import show_progress


def test_a_pipe_receives_a_line_per_tenth(capsys):
    with show_progress("features") as progress:
        for done in range(1, 41):
            progress(done, 40)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"features: {done} of 40" for done in range(4, 41, 4)]


def test_a_terminal_shows_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with show_progress("features") as progress:
        progress(3, 4)
    assert "3/4" in capsys.readouterr().err

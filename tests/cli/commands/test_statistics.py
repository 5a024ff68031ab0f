import pytest

from mim_plugins.cli import channel_report
from mim_plugins.cli.main import main


@pytest.fixture
def given(monkeypatch):
    given = []
    monkeypatch.setattr(channel_report, "print_channel_report", given.append)
    return given


def test_options_reach_the_report_with_their_defaults(given):
    main(["statistics", "a", "b.tif", "--channels", "4", "--nodata", "-9999"])
    main(["statistics", "c.zip"])
    first, second = given
    assert (first.data, first.channels, first.nodata) == (["a", "b.tif"], 4, -9999)
    assert (second.data, second.channels, second.nodata) == (["c.zip"], None, None)
    assert second.max_images is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--max-images", "0"], "--max-images 0 must be at least 1"),
        (["--nodata", "0"], "--nodata needs --channels"),
    ],
)
def test_wrong_options_are_refused_before_any_work(given, wrong, message, capsys):
    with pytest.raises(SystemExit):
        main(["statistics", "a", *wrong])
    assert message in capsys.readouterr().err
    assert given == []

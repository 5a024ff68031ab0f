import pytest

from mim_plugins.cli.main import build_parser, main


def test_the_options_are_those_of_the_tool():
    args = build_parser().parse_args(["doctor", "--config", "x.py"])
    assert args.config == "x.py"


def test_a_missing_config_is_reported_as_a_failure(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--config", "/no/such/config.py"])
    assert stop.value.code == 1
    assert "FAIL" in capsys.readouterr().out

import argparse

import pytest

from mim_plugins.cli.config_options import add_config_options


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    return parser


def test_option_values_are_parsed_as_in_mmengine(parser):
    options = ["--cfg-options", "a.b=1", "c=[x,2]", "d=", "e=f=g"]
    assert parser.parse_args(options).cfg_options == {
        "a.b": 1, "c": ["x", 2], "d": "", "e": "f=g",
    }  # fmt: skip
    assert parser.parse_args([]).cfg_options == {}


def test_invalid_option_is_a_usage_error(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["--cfg-options", "a=1", "max_epochs"])
    assert "--cfg-options: 'max_epochs' is not key=value" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["dict(depths=(1,2),heads=(1,2))", "{'a':1,'b':(1,2)}"])
def test_dict_of_lists_is_a_usage_error(parser, capsys, value):
    with pytest.raises(SystemExit):
        parser.parse_args(["--cfg-options", f"model.backbone.arch={value}"])
    assert "in a config file with _base_" in capsys.readouterr().err

import argparse

import pytest
import torch

from mim_plugins.cli.device_option import add_device_option


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    add_device_option(parser)
    return parser


def test_default_device_depends_on_the_machine(parser):
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert parser.parse_args([]).device == expected
    assert parser.parse_args(["--device", "cpu"]).device == "cpu"


@pytest.mark.parametrize("name", ["gpu7", "cuda:99", "meta"])
def test_unavailable_device_is_a_usage_error(parser, capsys, name):
    with pytest.raises(SystemExit):
        parser.parse_args(["--device", name])
    assert f"'{name}' is not available (" in capsys.readouterr().err.splitlines()[-1]

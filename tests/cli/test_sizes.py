import argparse

import pytest

from mim_plugins.cli.sizes import (
    add_size_option,
    config_size,
    format_size,
    parse_bands,
    parse_size,
)


@pytest.mark.parametrize(("text", "size"), [("224", (224, 224)), ("192x256", (192, 256))])
def test_sizes_are_read_and_written_alike(text, size):
    assert parse_size(text) == size
    assert format_size(size) == text
    assert config_size(size) == (size[0] if size[0] == size[1] else list(size))


@pytest.mark.parametrize(
    "text", ["", "x", "192x", "192x256x3", "-5", "0", "32x0", "00x32", "1.5", "a"]
)
def test_other_sizes_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="such as 192x256"):
        parse_size(text)


def test_bands_are_numbers():
    assert parse_bands("3,2,1") == (3, 2, 1)
    for text in ("", "3,", "a", "-1", "3 2 1"):
        with pytest.raises(argparse.ArgumentTypeError, match=r"such as 3,2,1"):
            parse_bands(text)


@pytest.mark.parametrize("given", [["64x32"], ["64", "32"]])
def test_option_accepts_one_or_two_arguments(given):
    parser = argparse.ArgumentParser()
    add_size_option(parser, "default: none")
    assert parser.parse_args(["--img-size", *given]).img_size == (64, 32)
    assert parser.parse_args([]).img_size is None


def test_option_of_three_sides_is_one_line(capsys):
    parser = argparse.ArgumentParser()
    add_size_option(parser, "default: none")
    with pytest.raises(SystemExit):
        parser.parse_args(["--img-size", "1", "2", "3"])
    assert "--img-size: '1x2x3' must be a side" in capsys.readouterr().err

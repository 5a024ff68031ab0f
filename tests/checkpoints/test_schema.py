"""Checks of JSON; tests/apis/test_encoder.py has those of whole descriptions."""

import pytest

from mim_plugins.checkpoints.schema import (
    LARGEST_NUMBER,
    WrongEntryError,
    check_entries,
    is_json,
    numbers,
    one_of,
    quote,
    read_json,
    texts_by_name,
)


@pytest.mark.parametrize("text", ["", "[1", "[NaN]", "[-Infinity]", '{"a": 1, "a": 1}'])
def test_other_text_than_plain_json_is_refused(text):
    with pytest.raises(WrongEntryError):
        read_json(text)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf"), {1}])
def test_numbers_beyond_floats_are_not_plain(value):
    assert not is_json(value)
    assert not is_json(dict(a=[value]))
    assert numbers([value])


@pytest.mark.parametrize("value", [-99999, 1e20, -3.4028234663852886e38, -1.7976931348623157e308])
def test_values_that_stand_for_no_data_are_plain(value):
    assert is_json(dict(nodata=value))
    assert not is_json(dict(img_size=[value]), LARGEST_NUMBER)
    assert bool(numbers([value])) == (abs(value) > 3.5e38)


def test_entries_are_exactly_those_of_the_schema():
    schema = dict(a=one_of("x"), b=numbers)
    assert check_entries(dict(a="x", b=[1.5]), schema) == dict(a="x", b=[1.5])
    for content, message in (
        ([], "it is list, not an object"),
        (dict(a="x"), "p.b is missing"),
        (dict(a="x", b=[1], c=1), "p.'c' is unknown"),
        (dict(a=["x"], b=[1]), r"p.a: \['x'\] is not one of x"),
        (dict(a="x", b=[True]), r"p.b: \[True\] is not a list of 1 to 1024 numbers"),
    ):
        with pytest.raises(WrongEntryError, match=message):
            check_entries(content, schema, "p" if content else "")


def test_quotes_are_short_and_printable():
    assert len(quote("\x1b" * 1000)) < 70
    assert quote("\n\x1b") == "'\\n\\x1b'"
    assert texts_by_name({"a": "\x1b"})

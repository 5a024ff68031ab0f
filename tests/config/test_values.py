from collections.abc import Callable, Sequence
from numbers import Number
from pathlib import Path
from typing import Any, Literal, Optional, Union

import pytest
from torch import nn

from mim_plugins.config.values import UNKNOWN, kind_mismatch


@pytest.mark.parametrize(
    ("value", "old", "annotation"),
    [
        (None, 3, int),
        (4, 3, int),
        (4.0, 3, int),
        (1e5, UNKNOWN, int),
        (1, 0.5, float),
        (1, True, bool),
        (0, UNKNOWN, bool | None),
        ("text", "old", float),
        (512.0, "dynamic", Literal["dynamic"]),
        ((1, 2), [3], int),
        ([1, 2], 224, int | Sequence[int]),
        ([1, 2], 224, UNKNOWN),
        (224, [1, 2], UNKNOWN),
        ("base", dict(depth=1), UNKNOWN),
        ("tiny", dict(depth=1), str | dict),
        ("auto", ["a", "b"], UNKNOWN),
        (dict(type="A"), UNKNOWN, nn.Module),
        (dict(type="A"), None, Optional[dict]),  # noqa: UP045
        (0.5, UNKNOWN, Number),
        (3, UNKNOWN, Union[int, str]),  # noqa: UP007
        ("x", UNKNOWN, Path),
        ("x", UNKNOWN, Callable),
        ("x", UNKNOWN, Any),
        ("x", None, UNKNOWN),
        ("x", print, UNKNOWN),
    ],
)
def test_a_value_of_a_compatible_kind_is_accepted(value, old, annotation):
    assert kind_mismatch(value, old, annotation) is None


@pytest.mark.parametrize(
    ("value", "old", "annotation", "expected"),
    [
        ("abc", 1, int, "an integer"),
        ("abc", UNKNOWN, int, "an integer"),
        (1.5, 3, int, "an integer"),
        (True, 3, int, "an integer"),
        ("abc", None, int | None, "an integer"),
        ("no", True, bool, "True or False"),
        ("yes", False, UNKNOWN, "True or False"),
        (2, True, bool, "True or False"),
        ("abc", 0.1, UNKNOWN, "a list or a number or an integer"),
        ([1], 3, int, "an integer"),
        (3, dict(type="A"), UNKNOWN, "a dict or a list"),
        ("abc", dict(type="A"), UNKNOWN, "a dict or a list"),
        (3, UNKNOWN, dict | None, "a dict"),
        ("abc", [1, 2], UNKNOWN, "a list or a number or an integer"),
        (3, UNKNOWN, tuple[str, ...], "a list"),
    ],
)
def test_a_value_of_another_kind_returns_the_expected_kinds(value, old, annotation, expected):
    assert kind_mismatch(value, old, annotation) == expected

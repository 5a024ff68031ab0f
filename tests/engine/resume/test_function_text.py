import functools
import threading

import numpy as np
import pytest
import torch

from mim_plugins.engine.resume.function_text import function_text
from mim_plugins.errors import ConfigError


def bound(value):
    return lambda step: step * value


def with_default(value):
    def factor(step, scale=value):
        return step * scale

    return factor


def with_keyword(value):
    def factor(step, *, scale=value):
        return step * scale

    return factor


def scaled(step, scale):
    return step * scale


class Factor:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, step):
        return step * self.scale

    def method(self, step):
        return step + self.scale


MAKERS = dict(
    closure=bound,
    default=with_default,
    keyword=with_keyword,
    partial=lambda value: functools.partial(scaled, scale=value),
    object=Factor,
    method=lambda value: Factor(value).method,
    tensor=lambda value: bound(torch.tensor([float(value)])),
    array=lambda value: bound(np.array([value])),
    items=lambda value: bound(dict(a=[value], b={value, 7})),
)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_text_depends_on_every_value_that_a_function_uses(make):
    assert function_text(make(2)) == function_text(make(2))
    assert function_text(make(2)) != function_text(make(3))


def test_text_depends_on_the_code_and_not_on_the_place():
    same = eval("[lambda step: step * 2,\n\nlambda step: step * 2, lambda step: step + 2]")
    first, second, other = map(function_text, same)
    assert first == second != other


def test_text_begins_with_the_name():
    assert function_text(scaled).split()[0] == "scaled"
    assert function_text(Factor(1)).split()[0] == "Factor"


def test_the_owner_is_not_part_of_the_text():
    first, second = Factor(1), Factor(2)
    assert function_text(first.method, first) == function_text(second.method, second)


def test_a_function_that_refers_to_itself_has_a_text():
    def countdown(step):
        return countdown(step - 1) if step else 0

    assert function_text(countdown) == function_text(countdown)


def test_functions_of_objects_without_a_state_are_refused():
    with pytest.raises(ConfigError, match="cannot be compared"):
        function_text(bound(threading.Lock()))


def test_deep_nesting_is_refused():
    value = 1
    for _ in range(20):
        value = [value]
    with pytest.raises(ConfigError, match="nested too deeply"):
        function_text(bound(value))

import ast
import enum
import math
import random
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mim_plugins.config import config_text


class Kind(enum.Enum):
    A = "a"


VALUES = [
    float("inf"), -math.inf, math.nan, 1e-5, -0.0, 0, True, None, "", "it's \"b\"\n{x}", b"\0", 1j,
    (), (1,), [], {}, set(), {1}, (math.inf, [-math.inf, (math.nan,)]), {1: "a", (1, 2): [3]},
    {"class": 1, "from": dict(None_=2)}, {"a-b": 1}, {"it's": {"x": math.inf}}, {math.inf: 1},
    "x" * 200, list(range(100)), dict(a=dict(b=dict(c=["y" * 90, dict(type="z" * 70)]))),
    [[1] * 60, (("a" * 95,),)], "torch.nn.Linear", Ellipsis, range(3),
]  # fmt: skip
CONVERTED = [
    (torch.bfloat16, "bfloat16"),
    ("torch.float16", "float16"),
    (torch.device("cuda", 1), "cuda:1"),
    (PurePosixPath("a/b"), "a/b"),
    (Path("/a"), "/a"),
    (np.float32(0.5), 0.5),
    (np.float64("inf"), math.inf),
    (np.int64(3), 3),
    (Kind.A, "a"),
]


def read(cfg):
    text = config_text(cfg)
    ast.parse(text)
    return Config.fromstring(text, ".py").to_dict()


def same(a, b):
    """Return whether two values are equal, with their types and the order of their entries."""
    return repr(a) == repr(b)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_value_reads_back_at_any_depth(value):
    cfg = Config(dict(a=value, b=[value, (value,), dict(c=value)], d={"1": value}))
    assert same(read(cfg), cfg.to_dict())


@pytest.mark.parametrize(("value", "text"), CONVERTED)
def test_value_without_code_reads_back_as_text_or_number(value, text):
    found = read(Config(dict(a=value, b=[value, (value,)], c=dict(d=value))))
    assert same(found, dict(a=text, b=[text, (text,)], c=dict(d=text)))


def test_random_configs_read_back_with_lines_of_limited_length():
    numbers = random.Random(0)

    def value(depth):
        if depth == 0:
            return numbers.choice([math.inf, 0.1, "word", "two words", None, True, -3])
        parts = [value(depth - 1) for _ in range(numbers.randrange(5))]
        keys = numbers.sample(["type", "z", "a", "lr mult", "in", "0"], len(parts))
        pairs = dict(zip(keys, parts, strict=True))
        return numbers.choice([parts, tuple(parts), pairs, value(depth - 1)])

    for _ in range(100):
        cfg = Config(dict(b=value(4), a=value(2)))
        assert same(read(cfg), cfg.to_dict())
        assert max(map(len, config_text(cfg).splitlines())) <= 100


def test_names_that_python_does_not_accept_read_back():
    cfg = Config({"a-b": 1, "class": dict(x=2), "c": 3})
    assert same(read(cfg), cfg.to_dict())


def test_short_entries_are_on_one_line_long_ones_are_indented():
    cfg = Config(dict(b=dict(type="A", sizes=(1,)), a=["x" * 60, dict(y="z" * 60)]))
    assert config_text(cfg) == (
        f"b = dict(type='A', sizes=(1,))\na = [\n    '{'x' * 60}',\n    dict(y='{'z' * 60}'),\n]\n"
    )

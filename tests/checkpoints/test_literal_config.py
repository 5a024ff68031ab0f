"""Configs that are read without executing them."""

import math

import numpy as np
import pytest
from mmengine.config import Config

from mim_plugins.apis import read_config
from mim_plugins.checkpoints.literal_config import COMPUTED, literal_config


def test_text_of_a_config_gives_its_values():
    given = dict(
        model=dict(type="A", sizes=[1, -2.5], pair=("x", None), more={"a.b": dict(c=True)}),
        number=3,
        _delete_=False,
    )
    found = literal_config(Config(given).pretty_text)
    assert found["model"] == given["model"]
    assert found["number"] == 3


def test_text_of_a_recipe_gives_the_same_values():
    cfg = read_config("mixmae/swin_b_finetune_100e")
    found = literal_config(cfg.pretty_text)
    assert found["model"] == cfg.to_dict()["model"]
    assert found["test_dataloader"] == cfg.to_dict()["test_dataloader"]


@pytest.mark.parametrize(
    "text", ["print('executed')", "dict(print('executed'))", "dict(**print('executed'))", "a + 1"]
)
def test_computed_values_are_marked(text, capsys):
    found = literal_config(f"first = {text}\nsecond = dict(a=[{text}], b=2)")
    assert found == dict(first=COMPUTED, second=dict(a=[COMPUTED], b=2))
    assert capsys.readouterr().out == ""


def test_merged_dicts_are_merged():
    assert literal_config("a = dict(**dict(b=1), c=2)") == dict(a=dict(b=1, c=2))
    assert literal_config("a = {'b': 1, **{'c': 2}}") == dict(a=dict(b=1, c=2))


@pytest.mark.parametrize("text", ["(", "\0", "a = " + "[" * 10**4, "x = 1\n  y"])
def test_other_texts_contain_nothing(text):
    assert literal_config(text) == {}


def test_numbers_of_numpy_are_those_of_python():
    text = "[np.float64(1.5), np.float32(-2.0), np.int64(3), np.uint8(4)]"
    assert literal_config(f"a = {text}")["a"] == [1.5, -2.0, 3, 4]
    for other in ("np.float64(f())", "np.float64(1.5, 2)", "np.load('x')", "os.float64(1.5)"):
        assert literal_config(f"a = {other}")["a"] is COMPUTED


def test_numbers_that_are_not_finite_are_numbers():
    given = dict(a=dict(nan=float("nan"), low=float("-inf"), high=np.float64("inf")))
    for text in (
        Config(given).pretty_text,
        "a = dict(nan=float('NaN'), low=-inf, high=float('inf'))",
    ):
        found = literal_config(text)["a"]
        assert math.isnan(found.pop("nan"))
        assert found == dict(low=-math.inf, high=math.inf)

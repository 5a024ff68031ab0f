from types import SimpleNamespace

import pytest

from mim_plugins.engine.resume.contradictions import describe_contradictions, word

SCHEDULER = SimpleNamespace(param_name="lr", base_values=[0.1], last_step=4, _last_value=[0.05])
STATE = dict(base_values=[0.1], last_step=4, _last_value=[0.05])


def described(old, new=0.05, names=("lr",), **changes):
    groups = [dict(lr=old)], [dict(lr=new)]
    return describe_contradictions([SCHEDULER], [STATE | changes], *groups, list(names))


@pytest.mark.parametrize("rate", [0.05, 0.05 * (1 + 1e-9)])
def test_equal_values_contradict_nothing(rate):
    assert described(rate) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(old=0.07), r"learning rate 0.07, not 0.05"),
        (dict(old=0.05, last_step=5), r"last_step of SimpleNamespace"),
        (dict(old=0.05, base_values=[0.2]), r"base_values of"),
        (dict(old=0.05, base_values=[0.1, 0.1]), r"base_values of"),
        (dict(old=0.05, _last_value=None), r"_last_value of"),
    ],
)
def test_each_difference_is_named(changes, message):
    assert len(described(**changes)) == 1
    assert message in described(**changes)[0]


def test_schedulers_of_other_values_are_not_compared():
    assert described(0.07, names=["momentum"], last_step=9) == []


def test_learning_rate_is_written_out():
    assert [word("lr"), word("momentum")] == ["learning rate", "momentum"]

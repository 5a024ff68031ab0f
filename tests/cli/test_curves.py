import pytest

from mim_plugins.cli.curves import chosen_keys, draw

STEPS = range(10, 60, 10)
FIRST = {
    "loss": {step: 1 / step for step in STEPS},
    "lr": dict.fromkeys(STEPS, 0.1),
    "time": dict.fromkeys(STEPS, 0.5),
    "iterations/s": dict.fromkeys(STEPS, 2.0),
    "accuracy/top1": {50: 61.25},
}
SECOND = {key: FIRST[key] for key in ("loss", "lr")}


def test_curves_match_the_log_and_rates_are_not_smoothed():
    figure = draw(dict(first=FIRST, second=SECOND), ["loss", "lr"], 0.5, False)
    loss, lr = figure.axes
    assert [line.get_label() for line in loss.lines if not line.get_alpha()] == ["first", "second"]
    raw = loss.lines[0]
    assert list(raw.get_xdata()) == [10, 20, 30, 40, 50]
    assert list(raw.get_ydata()) == [1 / step for step in range(10, 60, 10)]
    assert len(loss.lines) == 4
    assert len(lr.lines) == 2


def test_keys_can_be_chosen():
    curves = dict(a=FIRST)
    assert chosen_keys(curves, None) == ["accuracy/top1", "loss", "lr", "iterations/s"]
    assert chosen_keys(curves, ["time"]) == ["time"]
    with pytest.raises(ValueError, match="no run logged nonsense; use accuracy/top1"):
        chosen_keys(curves, ["nonsense"])


def test_runs_that_lack_a_key_have_no_curve_of_it():
    figure = draw(dict(first=FIRST, second=SECOND), ["accuracy/top1", "loss"], log_scale=True)
    accuracy, loss = figure.axes
    assert [line.get_label() for line in accuracy.lines] == ["first"]
    assert accuracy.lines[0].get_marker() == "o"  # a line of one point would be invisible
    assert len(loss.lines) == 2
    assert loss.get_yscale() == "log"

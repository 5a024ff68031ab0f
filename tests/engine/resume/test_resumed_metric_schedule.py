import pytest
from schedule_run import SGD, ScheduleRun, whole_and_resumed

from mim_plugins.errors import CheckpointError

PLATEAU = dict(type="ReduceOnPlateauLR", factor=0.5, patience=0, begin=2, monitor="loss")
WARM_UP = dict(type="LinearLR", start_factor=0.1, end=2)
LOSSES = [1, 2, 3, 4, 5, 0.5, 1, 1, 1]


@pytest.mark.parametrize(
    ("changed", "scale"),
    [
        (dict(), 1),
        (dict(epochs=9), 1),
        (dict(optimizer=SGD | dict(lr=0.01)), 0.1),
        (dict(epochs=9, optimizer=SGD | dict(lr=0.01)), 0.1),
    ],
)
def test_metric_schedule_resumes_from_its_state(changed, scale):
    before = dict(schedulers=[WARM_UP, PLATEAU], metrics=LOSSES)
    whole, resumed, _ = whole_and_resumed(before, before | changed, 16)
    assert whole[0][0]["lr"] == pytest.approx(0.025 * scale)
    expected = [group["lr"] for values in whole for group in values]
    found = [group["lr"] for values in resumed for group in values]
    assert found == (expected if scale == 1 else pytest.approx(expected))


def test_metric_schedule_may_begin_after_the_checkpoint():
    before = dict(schedulers=[WARM_UP, PLATEAU], metrics=LOSSES)
    after = before | dict(schedulers=[WARM_UP, PLATEAU | dict(begin=5, factor=0.1)])
    whole, resumed, _ = whole_and_resumed(before, after, 16)
    assert resumed == whole


@pytest.mark.parametrize(
    "schedulers",
    [
        [WARM_UP, PLATEAU | dict(factor=0.3)],
        [WARM_UP | dict(end=3), PLATEAU],
        [PLATEAU],
        [WARM_UP, PLATEAU, dict(type="PolyLR", power=0.9)],
    ],
)
def test_changed_metric_schedule_is_rejected(schedulers):
    checkpoint = ScheduleRun([WARM_UP, PLATEAU], metrics=LOSSES).go(16).checkpoint()
    with pytest.raises(CheckpointError, match=r"ReduceOnPlateauLR.*begin of.* to 5, or load"):
        ScheduleRun(schedulers).resume(checkpoint)


def test_metric_schedule_cannot_start_in_the_past():
    checkpoint = ScheduleRun([WARM_UP]).go(16).checkpoint()
    with pytest.raises(CheckpointError, match="ReduceOnPlateauLR depends on past metrics"):
        ScheduleRun([WARM_UP, PLATEAU]).resume(checkpoint)
    ScheduleRun([WARM_UP, PLATEAU | dict(begin=5)]).resume(checkpoint)

from types import SimpleNamespace

import pytest

from mim_plugins.engine.resume.saved_step import SavedStep, last_step, split_steps


def test_position_is_stored_as_in_mmengine():
    assert SavedStep(3, 1, 250).meta() == dict(epoch=1, iter=250)


@pytest.mark.parametrize(("by_epoch", "step"), [(True, 2), (False, 7)])
def test_last_step_counts_epochs_or_iterations(by_epoch, step):
    runner = SimpleNamespace(epoch=2, iter=7)
    assert last_step(runner, by_epoch, None) == (step, 2, 7)
    assert last_step(runner, by_epoch, SavedStep(1, 1, 4)) == (step, 2, 7)


def test_a_save_at_the_end_keeps_its_name():
    tried = SavedStep(7, 3, 7)
    assert last_step(SimpleNamespace(epoch=2, iter=7), True, tried) is tried


@pytest.mark.parametrize(
    ("most", "kept", "outdated"),
    [
        (1, [3], [1, 2]),
        (2, [2, 3], [1]),
        (9, [1, 2, 3], []),
        (0, [1, 2, 3], []),
        (-1, [1, 2, 3], []),
    ],
)
def test_oldest_steps_are_outdated(most, kept, outdated):
    assert split_steps([1, 2], 3, most) == (kept, outdated)


def test_a_step_that_is_saved_again_is_the_newest():
    assert split_steps([1, 2], 1, 1) == ([1], [2])
    assert split_steps([1, 2], 2, -1) == ([1, 2], [])

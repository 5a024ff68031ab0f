from types import SimpleNamespace

import pytest
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mim_plugins.engine.resume.resumed_position import POSITION, move_position
from mim_plugins.errors import CheckpointError

LENGTH, EPOCHS = 10, 6


def runner(loop=EpochBasedTrainLoop, length=LENGTH, epochs=EPOCHS, iterations=60):
    return SimpleNamespace(
        train_loop=loop.__new__(loop),
        train_dataloader=range(length),
        max_epochs=epochs,
        max_iters=iterations,
    )


def checkpoint(epoch, iteration, **info):
    return dict(meta=dict(epoch=epoch, iter=iteration), message_hub=dict(runtime_info=dict(info)))


def own(epoch, batches, of=LENGTH, complete=False):
    """As this package's epoch loop saves it; ``complete`` epochs count."""
    info = {POSITION: dict(epoch=epoch, batches=batches, of=of)}
    return checkpoint(epoch + complete, epoch * of + batches, **info)


@pytest.mark.parametrize(
    ("saved", "length", "expected"),
    [
        (own(2, 10, complete=True), 10, (30, 3)),
        (own(2, 10, complete=True), 5, (15, 3)),
        (own(2, 10, complete=True), 7, (21, 3)),
        (own(2, 4), 10, (24, 2)),
        (own(2, 4), 20, (48, 2)),
        (own(2, 4), 3, (7, 2)),
        (own(2, 10), 5, (15, 2)),  # saved before the epoch was counted
        # of MMEngine's loop
        (checkpoint(3, 30, max_epochs=6, max_iters=60), 20, (60, 3)),
        (checkpoint(2, 24, max_epochs=6, max_iters=60), 20, (48, 2)),
        (checkpoint(0, 4, max_epochs=6, max_iters=60), 5, (2, 0)),
        (checkpoint(1, 10, max_epochs=1, max_iters=10), 5, (5, 1)),
        (checkpoint(0, 4, max_epochs=1, max_iters=10), 10, (4, 0)),
        # without the numbers of its run
        (checkpoint(3, 30), 5, (15, 3)),
        (checkpoint(3, 34), 10, (34, 3)),
        (checkpoint(0, 7), 10, (7, 0)),
    ],
)
def test_position_is_at_the_same_part_of_the_epoch(saved, length, expected):
    before = saved["meta"]["iter"]
    position, changes = move_position(runner(length=length), saved)
    assert position == (*expected, length)
    assert (saved["meta"]["iter"], saved["meta"]["epoch"]) == expected
    assert bool(changes) == (before != expected[0])


@pytest.mark.parametrize(
    "saved",
    [
        checkpoint(0, 30, max_epochs=1, max_iters=60),  # of a run in iterations
        checkpoint(2, 35),
        checkpoint(3, 33),  # at the end of 3 epochs of 11, or within one of 10
        checkpoint(0, 35),
    ],
)
def test_unknown_lengths_of_epochs_are_refused(saved):
    with pytest.raises(CheckpointError, match=r"does not state.*this run's have 10.*load_from"):
        move_position(runner(), saved)


@pytest.mark.parametrize(
    "position",
    [None, 3, dict(epoch=0), dict(epoch=0, batches=3, of=0), dict(epoch=0, batches=9, of=4)],
)
def test_a_position_of_another_form_is_refused(position):
    with pytest.raises(CheckpointError, match="position_in_epoch"):
        move_position(runner(), checkpoint(0, 3, **{POSITION: position}))


def test_an_iteration_outside_its_epoch_is_set_right():
    """MMEngine's loop repeats an epoch that it resumes, so that its iterations run ahead."""
    saved = checkpoint(3, 34 + 10, max_epochs=6, max_iters=60)
    position, changes = move_position(runner(), saved)
    assert position.iterations == saved["meta"]["iter"] == 30
    assert "iteration 44 of the checkpoint is none of its epoch 4" in changes[0]


def test_runs_in_iterations_stay_where_they_are():
    saved = checkpoint(0, 33, max_epochs=1, max_iters=60)
    position, changes = move_position(runner(IterBasedTrainLoop, length=4), saved)
    assert (position.iterations, position.epochs, changes) == (33, 0, [])
    assert saved["meta"] == dict(epoch=0, iter=33)


def test_a_run_of_epochs_may_go_on_in_iterations():
    saved = own(2, 4)
    position, changes = move_position(runner(IterBasedTrainLoop), saved)
    assert (position.iterations, position.epochs) == (24, 0)
    assert "it goes on at iteration 24" in changes[0]
    assert saved["meta"]["epoch"] == 0
    assert POSITION not in saved["message_hub"]["runtime_info"]


@pytest.mark.parametrize(
    ("loop", "saved"),
    [(EpochBasedTrainLoop, own(5, 10, complete=True)), (IterBasedTrainLoop, checkpoint(0, 60))],
)
def test_a_run_that_is_over_is_named(loop, saved):
    changes = move_position(runner(loop), saved)[1]
    assert "nothing is left to train" in changes[-1]


@pytest.mark.parametrize(
    ("loop", "saved", "line"),
    [
        (EpochBasedTrainLoop, checkpoint(3, 30, max_epochs=100, max_iters=1000), "100 epochs"),
        (EpochBasedTrainLoop, checkpoint(1, 10, max_epochs=4, max_iters=40), "4 epochs"),
        (IterBasedTrainLoop, checkpoint(0, 30, max_epochs=1, max_iters=90), "90 iterations"),
        (EpochBasedTrainLoop, own(0, 5), None),
        (EpochBasedTrainLoop, checkpoint(3, 30, max_epochs=6, max_iters=60), None),
        (IterBasedTrainLoop, checkpoint(0, 30, max_epochs=1, max_iters=60), None),
    ],
)
def test_another_length_is_named_beside_the_old_one(loop, saved, line):
    changes = move_position(runner(loop), saved)[1]
    new = "60" if loop is IterBasedTrainLoop else "6"
    expected = [f"the checkpoint's run had {line}, this one has {new}"] if line else []
    assert changes == expected


def test_a_run_of_one_epoch_is_named_in_the_singular():
    saved = own(0, 5)
    saved["message_hub"]["runtime_info"]["max_epochs"] = 1
    assert move_position(runner(), saved)[1] == ["the checkpoint's run had 1 epoch, this one has 6"]


@pytest.mark.parametrize("count", [EPOCHS, 10**8, 2**61])
def test_no_position_is_beyond_the_end_of_the_run(count):
    position, lines = move_position(runner(), own(count, 0))
    assert position == (EPOCHS * LENGTH, EPOCHS, LENGTH)
    assert "nothing is left to train" in lines[-1]
    loop = runner(IterBasedTrainLoop, iterations=60)
    assert move_position(loop, checkpoint(0, 10 * count))[0] == (60, 0, LENGTH)

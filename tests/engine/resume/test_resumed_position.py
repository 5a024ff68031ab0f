from types import SimpleNamespace

import pytest
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader

from mim_plugins.engine.resume.resumed_position import BATCH, POSITION, convert_position
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
    """Return a checkpoint of this package's epoch loop after ``complete`` epochs."""
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
        (own(2, 10), 5, (15, 2)),  # saved before the epoch counter increased
        # a checkpoint of MMEngine's loop
        (checkpoint(3, 30, max_epochs=6, max_iters=60), 20, (60, 3)),
        (checkpoint(2, 24, max_epochs=6, max_iters=60), 20, (48, 2)),
        (checkpoint(0, 4, max_epochs=6, max_iters=60), 5, (2, 0)),
        (checkpoint(1, 10, max_epochs=1, max_iters=10), 5, (5, 1)),
        (checkpoint(0, 4, max_epochs=1, max_iters=10), 10, (4, 0)),
        # without the length of its run
        (checkpoint(3, 30), 5, (15, 3)),
        (checkpoint(3, 34), 10, (34, 3)),
        (checkpoint(0, 7), 10, (7, 0)),
    ],
)
def test_position_is_at_the_same_fraction_of_the_epoch(saved, length, expected):
    before = saved["meta"]["iter"]
    position, changes = convert_position(runner(length=length), saved)
    assert position == (*expected, length, True)
    assert (saved["meta"]["iter"], saved["meta"]["epoch"]) == expected
    assert bool(changes) == (before != expected[0])


@pytest.mark.parametrize(
    "saved",
    [
        checkpoint(0, 30, max_epochs=1, max_iters=60),  # an iteration-based run
        checkpoint(2, 35),
        checkpoint(3, 33),  # end of 3 epochs of 11 iterations, or within an epoch of 10
        checkpoint(0, 35),
    ],
)
def test_unknown_epoch_lengths_are_rejected(saved):
    with pytest.raises(CheckpointError, match=r"does not contain.*this run has 10.*load_from"):
        convert_position(runner(), saved)


@pytest.mark.parametrize(
    "position",
    [None, 3, dict(epoch=0), dict(epoch=0, batches=3, of=0), dict(epoch=0, batches=9, of=4)],
)
def test_malformed_position_is_rejected(position):
    with pytest.raises(CheckpointError, match="position_in_epoch"):
        convert_position(runner(), checkpoint(0, 3, **{POSITION: position}))


def test_iteration_outside_its_epoch_is_corrected():
    """MMEngine's loop repeats a resumed epoch, so its iterations exceed the epoch."""
    saved = checkpoint(3, 34 + 10, max_epochs=6, max_iters=60)
    position, changes = convert_position(runner(), saved)
    assert position.iterations == saved["meta"]["iter"] == 30
    assert "iteration 44 of the checkpoint is not in its epoch 4" in changes[0]


@pytest.mark.parametrize(("epoch", "batches", "iteration"), [(1, 7, 17), (2, 13, 35), (3, 0, 24)])
def test_epochs_of_different_lengths_keep_their_position(epoch, batches, iteration):
    info = {POSITION: dict(epoch=epoch, batches=batches, of=LENGTH)}
    position, changes = convert_position(runner(), checkpoint(epoch, iteration, **info))
    assert (position, changes) == ((iteration, epoch, LENGTH, True), [])


@pytest.mark.parametrize("loop", [EpochBasedTrainLoop, IterBasedTrainLoop])
@pytest.mark.parametrize(
    ("processes", "images", "effect"),
    [
        (1, 4, None),
        (2, 4, "but not with the same images"),
        (2, None, "but not with the same images"),
        (
            2,
            2,
            "with other augmentation (and other images, unless the sampler is of MMEngine)",
        ),
    ],
)
def test_other_batches_are_reported_if_the_length_is_the_same(loop, processes, images, effect):
    by_epoch = loop is EpochBasedTrainLoop
    info = own(2, 4)["message_hub"]["runtime_info"] if by_epoch else {}
    saved = checkpoint(2, 24, **info, **{BATCH: dict(processes=processes, images=images)})
    run = runner(loop)
    run.train_dataloader = DataLoader(range(40), 4)
    _, changes = convert_position(run, saved)
    assert changes == [
        f"the checkpoint's run read 2 * {images or 'unknown'} images per iteration (processes *"
        f" batch size), this one 1 * 4: it continues at the same iteration, {effect}"
    ] * (processes == 2)


def test_iteration_based_runs_keep_their_position():
    saved = checkpoint(0, 33, max_epochs=1, max_iters=60)
    position, changes = convert_position(runner(IterBasedTrainLoop, length=4), saved)
    assert (position.iterations, position.epochs, changes) == (33, 0, [])
    assert saved["meta"] == dict(epoch=0, iter=33)


def test_epoch_based_run_can_resume_in_iterations():
    saved = own(2, 4)
    position, changes = convert_position(runner(IterBasedTrainLoop), saved)
    assert (position.iterations, position.epochs) == (24, 0)
    assert "it continues at iteration 24" in changes[0]
    assert saved["meta"]["epoch"] == 0
    assert POSITION not in saved["message_hub"]["runtime_info"]


@pytest.mark.parametrize(
    ("loop", "saved"),
    [(EpochBasedTrainLoop, own(5, 10, complete=True)), (IterBasedTrainLoop, checkpoint(0, 60))],
)
def test_finished_run_is_reported(loop, saved):
    changes = convert_position(runner(loop), saved)[1]
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
def test_changed_length_is_reported_with_the_old_one(loop, saved, line):
    changes = convert_position(runner(loop), saved)[1]
    new = "60" if loop is IterBasedTrainLoop else "6"
    expected = [f"the checkpoint's run had {line}, this one has {new}"] if line else []
    assert changes == expected


def test_run_of_one_epoch_is_reported_in_the_singular():
    saved = own(0, 5)
    saved["message_hub"]["runtime_info"]["max_epochs"] = 1
    assert convert_position(runner(), saved)[1] == [
        "the checkpoint's run had 1 epoch, this one has 6"
    ]


@pytest.mark.parametrize("count", [EPOCHS, 10**8, 2**61])
def test_position_is_limited_to_the_end_of_the_run(count):
    position, lines = convert_position(runner(), own(count, 0))
    assert position == (EPOCHS * LENGTH, EPOCHS, LENGTH, True)
    assert "nothing is left to train" in lines[-1]
    loop = runner(IterBasedTrainLoop, iterations=60)
    assert convert_position(loop, checkpoint(0, 10 * count))[0] == (60, 0, LENGTH, False)

import pytest
from mmengine.evaluator import Evaluator
from tiny_run import toy_runner
from validated_run import FINITE, PLATEAU, Classifier, Loss, Seen, train

from mim_plugins.errors import CheckpointError

MOMENTUM = dict(type="ReduceOnPlateauMomentum", monitor="val/loss", factor=0.5, patience=0)


def run_of(folder, iterations, by_epoch=True, schedule=PLATEAU, **changes):
    """Train a run of iterations with a validation after every second one; return the rates."""
    seen = Seen(None)
    runner = toy_runner(
        folder,
        Classifier(),
        train_cfg=dict(type="mim_plugins.ResumableIterLoop", max_iters=iterations, val_interval=2),
        train_dataloader=FINITE,
        checkpoint=dict(by_epoch=by_epoch, interval=1),
        hooks=[seen],
        val_dataloader=FINITE,
        val_cfg=dict(),
        val_evaluator=Evaluator(Loss(seen)),
        **dict(resume=iterations > 6, param_scheduler=schedule) | changes,
    )
    runner.train()
    return seen.rates


@pytest.mark.parametrize("by_epoch", [True, False])
@pytest.mark.parametrize("end", [{}, dict(end=1)])
def test_run_of_iterations_is_extended(tmp_path, by_epoch, end):
    """MMEngine's default checkpoint hook saves the end of such a run, as that of an epoch."""
    schedule = PLATEAU | end
    whole = run_of(tmp_path / "whole", 12, resume=False, schedule=schedule)
    pieces = {}
    for stop in (6, 8, 12):
        pieces |= run_of(tmp_path / "pieces", stop, by_epoch, schedule)
    assert pieces == whole
    assert len(set(whole.values())) == 5


def test_several_metric_schedules_of_iterations_are_extended(tmp_path):
    settings = dict(
        schedule=[PLATEAU, MOMENTUM],
    )
    whole = run_of(tmp_path / "whole", 12, resume=False, **settings)
    pieces = run_of(tmp_path / "pieces", 6, **settings) | run_of(
        tmp_path / "pieces", 12, **settings
    )
    assert pieces == whole


def test_changed_schedule_of_iterations_is_rejected(tmp_path):
    run_of(tmp_path, 6)
    with pytest.raises(CheckpointError, match=r"another ReduceOnPlateauLR.*, or load the weights"):
        run_of(tmp_path, 12, schedule=PLATEAU | dict(factor=0.3))


@pytest.mark.parametrize(
    ("loop", "remedy"),
    [("epochs", "set begin of ReduceOnPlateauLR to 4, or load"), ("iterations", "load")],
)
def test_missing_states_of_schedulers_are_named(tmp_path, loop, remedy):
    settings = dict(save_param_scheduler=False)
    train(tmp_path, loop, 6, **settings)
    with pytest.raises(CheckpointError, match=rf"save_param_scheduler=False\): {remedy}"):
        train(tmp_path, loop, resume=True, **settings)

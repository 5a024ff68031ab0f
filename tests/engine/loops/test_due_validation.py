import pytest
from mmengine.hooks import Hook
from mmengine.runner import LogProcessor
from random_numbers import draw
from tiny_run import toy_runner
from validated_run import LOOPS, PLATEAU, POLY, Kill, train

from mim_plugins.engine.loops.due_validation import VALIDATED


@pytest.mark.parametrize(
    ("loop", "stop"),
    [("epochs", 6), ("epochs", 8), ("epochs_seldom", 8), ("epochs_dynamic", 6),
     ("epochs_dynamic", 8), ("iterations", 6), ("iterations", 4)],
)  # fmt: skip
@pytest.mark.parametrize("schedule", [PLATEAU, POLY], ids=["plateau", "poly"])
def test_kill_before_a_validation_changes_nothing(tmp_path, loop, stop, schedule):
    whole = train(tmp_path / "whole", loop, schedule=schedule)
    before = train(tmp_path / "pieces", loop, stop, schedule=schedule)
    after = train(tmp_path / "pieces", loop, resume=True, schedule=schedule)
    assert min(after.rates) == stop
    assert before.rates | after.rates == whole.rates
    assert before.validated + after.validated == whole.validated
    assert len(set(whole.rates.values())) > 1


def test_validations_log_only_their_metrics(tmp_path):
    runner = toy_runner(tmp_path, iterations=2)
    runner.train()
    runner.message_hub.update_info(VALIDATED, 2)
    processor = LogProcessor()
    assert processor._collect_non_scalars(runner, "val") == {}


@pytest.mark.parametrize("loop", LOOPS)
def test_kill_in_the_last_validation_is_made_up_for(tmp_path, loop):
    train(tmp_path, loop, 12, schedule=POLY)
    resumed = train(tmp_path, loop, resume=True, schedule=POLY)
    assert (resumed.rates, resumed.validated) == ({}, [12])
    assert resumed.is_complete


def test_missed_validation_saves_the_best_checkpoint(tmp_path):
    settings = dict(schedule=POLY, save_best="val/loss", rule="greater")
    train(tmp_path, "epochs", 12, **settings)
    assert [path.name for path in tmp_path.glob("best*")] == ["best_val_loss_epoch_5.pth"]
    train(tmp_path, "epochs", resume=True, **settings)
    assert [path.name for path in tmp_path.glob("best*")] == ["best_val_loss_epoch_6.pth"]


@pytest.mark.parametrize("loop", ["epochs", "iterations"])
@pytest.mark.parametrize("schedule", [PLATEAU, POLY], ids=["plateau", "poly"])
def test_stored_validation_is_not_repeated(tmp_path, loop, schedule):
    # the second validation is better, so its checkpoint is saved again, with the result
    settings = dict(schedule=schedule, save_best="val/loss", rule="greater")
    whole = train(tmp_path / "whole", loop, **settings)
    before = train(tmp_path / "pieces", loop, hooks=[Kill(4)], **settings)
    after = train(tmp_path / "pieces", loop, resume=True, **settings)
    assert before.validated + after.validated == whole.validated
    assert before.rates | after.rates == whole.rates


def test_position_within_an_epoch_needs_no_validation(tmp_path):
    settings = dict(schedule=POLY, interval=1, by_epoch=False)
    train(tmp_path, "epochs", hooks=[Kill(5)], **settings)
    assert train(tmp_path, "epochs", resume=True, **settings).validated == [6, 8, 10, 12]


class Drawing(Hook):
    """Hook that draws random numbers in training and validations, and records the latter."""

    def __init__(self):
        self.validations, self.iterations = [], []

    def after_train_iter(self, runner, *args, **kwargs):
        self.iterations.append(draw())

    def before_val_iter(self, runner, *args, **kwargs):
        self.validations.append(draw())

    def before_train_iter(self, runner, *args, **kwargs):
        self.iterations.append(draw())


@pytest.mark.parametrize("loop", ["epochs", "iterations"])
def test_random_numbers_of_a_missed_validation_are_the_same(tmp_path, loop):
    def draws(folder, *stop, **settings):
        drawing = Drawing()
        train(folder, loop, *stop, schedule=POLY, hooks=[drawing], **settings)
        return drawing

    whole = draws(tmp_path / "whole")
    before, after = draws(tmp_path / "pieces", 6), draws(tmp_path / "pieces", resume=True)
    assert before.validations + after.validations == whole.validations
    assert before.iterations + after.iterations == whole.iterations
    assert len(set(whole.validations)) == len(whole.validations) == 12

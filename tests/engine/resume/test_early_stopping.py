import pytest
import torch
from mmengine.hooks import EarlyStoppingHook
from tiny_run import toy_runner
from validated_run import POLY, Kill, Loss, train

from mim_plugins.errors import CheckpointError


def early(patience=4, **changes):
    """Return a hook that stops after iteration 10, because the losses grow."""
    settings = dict(rule="less", min_delta=0, patience=patience) | changes
    return EarlyStoppingHook("val/loss", **settings)


@pytest.mark.parametrize("loop", ["epochs", "iterations"])
@pytest.mark.parametrize("save_best", [{}, dict(save_best="val/loss", rule="greater")])
@pytest.mark.parametrize("kill", [lambda at: dict(stop=at), lambda at: dict(hooks=[Kill(at)])])
def test_interrupted_run_stops_like_an_uninterrupted_one(tmp_path, loop, save_best, kill):
    stops = [4, 6, 8, None]
    for number, at in enumerate(stops):
        settings = dict(hooks=[]) if at is None else dict(hooks=[]) | kill(at)
        settings["hooks"] = [early(), *settings["hooks"]]
        last = train(tmp_path, loop, resume=number > 0, schedule=POLY, **settings, **save_best)
    assert last.is_complete
    assert last.validated[-1] == 10
    assert max(last.rates) == 9


def test_stopped_run_continues_only_with_more_patience(tmp_path, capsys):
    settings = dict(schedule=POLY, save_best="val/loss", rule="greater")
    train(tmp_path, "epochs", hooks=[early()], **settings)
    again = train(tmp_path, "epochs", hooks=[early()], resume=True, **settings)
    assert (again.rates, again.validated) == ({}, [])
    expected = "'val/loss' did not improve in 4 validations; to continue, change patience"
    assert expected in capsys.readouterr().out
    patient = train(tmp_path, "epochs", hooks=[early(5)], resume=True, **settings)
    assert patient.validated == [12]


def test_reached_threshold_stops_a_resumed_run(tmp_path, capsys):
    settings = dict(schedule=POLY, save_best="val/loss", rule="greater")
    for resume in (False, True):
        hook = early(rule="greater", stopping_threshold=5)
        seen = train(tmp_path, "epochs", hooks=[hook], resume=resume, **settings)
    assert (seen.rates, seen.validated) == ({}, [])
    assert "because 'val/loss' reached 5;" in capsys.readouterr().out


@pytest.mark.parametrize("loop", ["epochs", "iterations"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor(float("nan"))])
@pytest.mark.parametrize("interval", [1, 100])
def test_metric_that_is_not_finite_stops_a_resumed_run(
    tmp_path, capsys, monkeypatch, loop, value, interval
):
    """With an interval of 1, the last checkpoint lacks the validation, which is repeated."""
    monkeypatch.setattr(
        Loss,
        "compute_metrics",
        lambda self, _: dict(loss=1 if self.seen.iterations != 6 else value),
    )
    settings = dict(schedule=POLY, interval=interval)
    stopped = train(tmp_path, loop, hooks=[early(20)], **settings)
    assert stopped.validated[-1] == 6
    for _ in range(2):  # the checkpoint saved by a resumed run contains it, too
        again = train(tmp_path, loop, hooks=[early(20)], resume=True, **settings)
        assert again.rates == {}
        text = f"'val/loss' was {float(value)}; to continue, set check_finite=False"
        assert (text in capsys.readouterr().out) == (interval > 1)
    more = train(tmp_path, loop, hooks=[early(20, check_finite=False)], resume=True, **settings)
    assert more.validated[-1] == 12


def test_hooks_find_their_own_counts(tmp_path, capsys):
    hooks = [early(20), early(30, rule="greater"), early(40)]
    train(tmp_path, "epochs", 8, hooks=hooks, schedule=POLY)
    resumed = [early(30, rule="greater"), early(20), early(40), early(rule="less", patience=50)]
    train(tmp_path, "epochs", 8, hooks=resumed, resume=True, schedule=POLY)
    assert [hook.wait_count for hook in resumed] == [0, 2, 2, 0]
    assert [hook.best_score for hook in resumed] == [6, 2, 2, float("inf")]
    expected = "the checkpoint has no count of EarlyStoppingHook for 'val/loss' with rule 'less'"
    assert expected in capsys.readouterr().out


def test_patience_of_zero_does_not_stop_before_a_validation(tmp_path):
    train(tmp_path, "epochs", 4, hooks=[early(0)], schedule=POLY)
    assert train(tmp_path, "epochs", hooks=[early(0)], resume=True, schedule=POLY).validated == [4]


@pytest.mark.parametrize(
    "state",
    [
        dict(wait_count="1", best_score=1.0),
        dict(wait_count=1),
        3,
        dict(wait_count=1, best_score=1.0, non_finite="x"),
    ],
)
def test_corrupt_counts_are_refused(tmp_path, state):
    toy_runner(tmp_path, iterations=1).train()
    file = tmp_path / "iter_1.pth"
    checkpoint = torch.load(file, weights_only=False)
    checkpoint["message_hub"]["runtime_info"]["early_stopping"] = [state]
    torch.save(checkpoint, file)
    with pytest.raises(CheckpointError, match="early_stopping"):
        toy_runner(tmp_path, resume=True).train()

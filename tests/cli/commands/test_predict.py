import pytest

from mim_plugins.cli import predictions
from mim_plugins.cli.main import main


@pytest.fixture
def given(monkeypatch):
    given = []
    monkeypatch.setattr(predictions, "print_predictions", given.append)
    return given


def test_options_reach_the_predictions_with_their_defaults(given):
    main(["predict", "c.py", "w.pth", "a.jpg", "b"])
    (args,) = given
    assert (args.config, args.checkpoint, args.images) == ("c.py", "w.pth", ["a.jpg", "b"])
    assert (args.topk, args.batch_size) == (5, 32)


@pytest.mark.parametrize("option", ["--topk", "--batch-size"])
def test_numbers_below_one_are_refused_before_any_work(given, option, capsys):
    with pytest.raises(SystemExit):
        main(["predict", "c.py", "w.pth", "a.jpg", option, "0"])
    assert f"{option} 0 must be at least 1" in capsys.readouterr().err
    assert given == []

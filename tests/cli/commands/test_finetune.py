import pytest

from mim_plugins.cli import finetuning
from mim_plugins.cli.main import build_parser, main


def test_options_reach_the_fine_tuning_in_their_order(monkeypatch):
    given = []
    monkeypatch.setattr(finetuning, "finetune", lambda *args: given.append(args))
    main(["finetune", "d", "--checkpoint", "w.pth", "--epochs", "3", "--out", "o", "--overwrite"])
    assert given == [("d", "w.pth", None, 3, None, "o", True)]


def test_a_checkpoint_is_required(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["finetune", "d"])
    assert "--checkpoint" in capsys.readouterr().err

import inspect

import pytest

from mim_plugins.cli import pretraining
from mim_plugins.cli.main import main
from mim_plugins.errors import DataNotFoundError


@pytest.fixture
def given(monkeypatch):
    """Return the arguments by name with which a pre-training was called."""
    names, calls = inspect.signature(pretraining.pretrain).parameters, {}
    monkeypatch.setattr(
        pretraining, "pretrain", lambda *values: calls.update(zip(names, values, strict=False))
    )
    return calls


def test_only_the_data_are_required(given):
    main(["pretrain", "photos", "more.tar:2"])
    assert given["data"] == ["photos", "more.tar:2"]
    assert (given["method"], given["split"]) == ("mixmae", "train")
    others = given.keys() - {"data", "method", "split"}
    assert not any(given[name] for name in others)


def test_options_reach_the_arguments_of_their_names(given):
    main(["pretrain", "a", "--method", "mrmae", "--arch", "vit-b", "--epochs", "3", "--teacher",
          "dino", "--channels", "4", "--shown-bands", "2,1,0", "--config-only"])  # fmt: skip
    assert (given["method"], given["arch"], given["teacher"]) == ("mrmae", "vit-b", "dino")
    assert (given["epochs"], given["channels"]) == (3, 4)
    assert tuple(given["shown_bands"]) == (2, 1, 0)
    assert given["config_only"] is True


def test_errors_of_the_user_end_in_one_line(monkeypatch):
    def refuse(*_):
        raise DataNotFoundError("no images in 'a'")

    monkeypatch.setattr(pretraining, "pretrain", refuse)
    with pytest.raises(SystemExit, match=r"^error: no images in 'a'$"):
        main(["pretrain", "a"])

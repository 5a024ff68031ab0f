import pytest

from mim_plugins.cli import reconstruction_picture
from mim_plugins.cli.main import main


@pytest.fixture
def given(monkeypatch):
    given = []
    monkeypatch.setattr(reconstruction_picture, "draw_reconstructions", given.append)
    return given


def test_options_reach_the_picture_with_their_defaults(given):
    main(["reconstruct", "c.py", "w.pth", "a.jpg", "b", "--no-teachers"])
    (args,) = given
    assert (args.config, args.checkpoint, args.images) == ("c.py", "w.pth", ["a.jpg", "b"])
    assert (args.out, args.seed, args.max_images) == ("reconstructions.png", 0, 12)
    assert args.no_teachers


@pytest.mark.parametrize("wrong", [["--max-images", "0"], ["--out", "a.txt"], ["--out", "a"]])
def test_wrong_options_are_refused_before_any_work(given, wrong, capsys):
    with pytest.raises(SystemExit):
        main(["reconstruct", "c.py", "w.pth", "a.jpg", *wrong])
    assert f"{wrong[0]} " in capsys.readouterr().err
    assert given == []

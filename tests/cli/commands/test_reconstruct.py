import pytest

from mim_plugins.cli import feature_file, reconstruction_picture
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


@pytest.mark.parametrize("command", ["reconstruct", "embed"])
def test_a_file_that_exists_is_replaced_only_by_force(monkeypatch, tmp_path, capsys, command):
    calls = []
    monkeypatch.setattr(reconstruction_picture, "draw_reconstructions", calls.append)
    monkeypatch.setattr(feature_file, "write_features", calls.append)
    out = tmp_path / ("a.png" if command == "reconstruct" else "a.npz")
    out.symlink_to(tmp_path / "gone")
    arguments = [command, "c.py", "w.pth", "a.jpg", "--out", str(out)]
    with pytest.raises(SystemExit):
        main(arguments)
    assert f"--out '{out}' exists already; --force overwrites it" in capsys.readouterr().err
    assert calls == []
    main([*arguments, "--force"])
    assert len(calls) == 1

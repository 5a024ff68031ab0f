from mim_plugins.cli import feature_file
from mim_plugins.cli.main import main


def test_options_reach_the_writer_with_their_defaults(monkeypatch):
    given = []
    monkeypatch.setattr(feature_file, "write_features", given.append)
    main(["embed", "c.py", "w.pth", "a.jpg", "b"])
    (args,) = given
    assert (args.config, args.checkpoint, args.images) == ("c.py", "w.pth", ["a.jpg", "b"])
    assert (args.out, args.batch_size) == ("features.npz", 32)

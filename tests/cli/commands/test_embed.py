from mim_plugins.cli import feature_file
from mim_plugins.cli.main import main


def test_options_reach_the_writer_with_their_defaults(monkeypatch):
    given = []
    monkeypatch.setattr(feature_file, "write_features", given.append)
    main(["embed", "c.py", "w.pth", "a.jpg", "b"])
    (args,) = given
    assert (args.config, args.checkpoint, args.images) == ("c.py", "w.pth", ["a.jpg", "b"])
    assert (args.out, args.batch_size) == ("features.npz", 32)


def test_exported_encoder_needs_no_checkpoint(monkeypatch):
    given = []
    monkeypatch.setattr(feature_file, "write_features", given.append)
    main(["embed", "a.safetensors", "a.jpg", "b", "--features", "cls", "map", "--workers", "2"])
    (args,) = given
    assert (args.config, args.checkpoint, args.images) == ("a.safetensors", None, ["a.jpg", "b"])
    assert (args.features, args.workers) == (["cls", "map"], 2)

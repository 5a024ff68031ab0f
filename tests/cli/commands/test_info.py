from mim_plugins.cli import encoder_report, model_report
from mim_plugins.cli.main import main


def test_configs_are_reported_with_their_options(monkeypatch):
    given = []
    monkeypatch.setattr(model_report, "print_model_report", given.append)
    main(["info", "swin_b_600e", "--img-size", "192"])
    assert (given[0].config, given[0].img_size) == ("swin_b_600e", (192, 192))


def test_exported_encoders_are_described(monkeypatch):
    given = []
    monkeypatch.setattr(encoder_report, "print_encoder_report", given.append)
    main(["info", "a.safetensors"])
    assert given == ["a.safetensors"]

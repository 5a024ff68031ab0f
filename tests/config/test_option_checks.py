import pytest
from mmengine.config import Config

from mim_plugins.config import merge_options

OWN = dict(type="SelfSupDataPreprocessor")


def config(model):
    model = dict(type="mim_plugins.MixMAE") | model
    return Config(dict(default_scope="mim_plugins", data_preprocessor=dict(OWN), model=model))


@pytest.mark.parametrize(
    ("name", "value"), [("mean", [1, 2, 3]), ("type", "MixDataPreprocessor"), ("x", dict(y=1))]
)
@pytest.mark.parametrize("own", [OWN, None])
def test_a_data_preprocessor_that_nothing_reads_is_refused(name, value, own):
    cfg = config(dict(data_preprocessor=own))
    with pytest.raises(ValueError, match=r"nothing reads it.*change model\.data_preprocessor"):
        merge_options(cfg, {f"data_preprocessor.{name}": value})


def test_a_model_without_one_takes_the_data_preprocessor():
    cfg = config({})
    merge_options(cfg, {"data_preprocessor.mean": [1, 2, 3]})
    assert cfg.data_preprocessor.mean == [1, 2, 3]


def test_arguments_of_a_mimic_are_known(monkeypatch):
    warnings = []
    monkeypatch.setattr(
        "mim_plugins.config.option_checks.print_log", lambda text, **_: warnings.append(text)
    )
    mimic = dict(target_generator=dict(type="mim_plugins.TimmTarget"))
    cfg = config(dict(mimics=dict(dino=mimic)))
    merge_options(cfg, {"model.mimics.dino.fusion_layers": [1, 2]})
    assert warnings == []
    with pytest.raises(ValueError, match="Mimic has no 'layers'"):
        merge_options(cfg, {"model.mimics.dino.layers": 1})

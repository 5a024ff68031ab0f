"""Cards of encoders."""

import pytest

from mim_plugins.apis import describe_config, read_config
from mim_plugins.apis.model_card import model_card, published_figures

pytest.importorskip("huggingface_hub")


def test_published_figures_are_apart_from_own_ones():
    description = describe_config(read_config("mixmae/swin_b_600e").to_dict())
    text = str(model_card(description, {"k-NN | top-1": 71.5}))
    own, published = text.split("## Published figures of other weights")
    assert "| k-NN   top-1 | 71.5 |" in own
    assert "| 85.1 |" not in own
    assert "| 85.1 | published by the authors" in published
    assert "not for this one" in published
    assert "library_name: mim_plugins" in own
    assert "import mim_plugins.hubs.timm" in own


def test_cards_without_figures_state_it():
    description = describe_config(read_config("mrmae/vit_b_400e").to_dict())
    text = str(model_card(description._replace(algorithm="X", source="a.pth"), {}))
    assert "None was given." in text
    assert "Exported from `a.pth`" in text
    assert "import mim_plugins.hubs.timm" not in text


@pytest.mark.parametrize("name", ["mixmae/swin_l_600e", "mrmae/mcmae_b_400e"])
def test_published_figures_belong_to_the_same_architecture(name):
    description = describe_config(read_config(name).to_dict())
    assert description is not None
    size = name.split("_")[1]
    figures = published_figures(description)
    assert figures
    for recipe, metric, value, source in figures:
        assert f"_{size}_" in recipe
        assert metric == "ImageNet-1k, Top 1 Accuracy"
        assert 50 < value < 100
        assert source.startswith("published by the authors")


def test_units_are_those_of_the_files():
    given = describe_config(read_config("mrmae/vit_b_400e").to_dict())
    bands = given.preprocessing._replace(bands=dict(channels=3))
    assert "of pixels from 0 to 255\n" in str(model_card(given, {}))
    text = str(model_card(given._replace(preprocessing=bands), {}))
    assert "of pixels in the numbers of the files\n" in text
    assert "255" not in text


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("name", ["mixmae/swin_b_600e", "mrmae/vit_b_400e"])
def test_cards_contain_code_of_timm_only_for_rgb(name, order):
    given = describe_config(read_config(name).to_dict())
    preprocessing = given.preprocessing._replace(channel_order=order)
    text = str(model_card(given._replace(preprocessing=preprocessing), {}))
    assert ("timm" in text) == (order == "rgb")
    assert "\n\n\n" not in text

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import save_file

from mim_plugins.apis.trained_normalization import (
    Normalization,
    normalization_in,
    trained_normalization,
)
from mim_plugins.checkpoints.description import KEY, Description, Preprocessing

PREPROCESSOR = dict(mean=[1.5, 2, 3], std=[4.0, 5.0, 6.0], bgr_to_rgb=True)
EXPECTED = Normalization((1.5, 2, 3), (4.0, 5.0, 6.0), to_rgb=True)


@pytest.mark.parametrize("place", ["model", "top"])
def test_the_config_in_a_checkpoint_has_the_normalization(tmp_path, place):
    cfg = dict(model=dict(type="M", data_preprocessor=PREPROCESSOR))
    if place == "top":
        cfg = dict(model=dict(type="M"), data_preprocessor=PREPROCESSOR)
    file = tmp_path / "a.pth"
    torch.save(dict(meta=dict(cfg=Config(cfg).pretty_text), state_dict={}), file)

    assert trained_normalization(file) == EXPECTED


@pytest.mark.parametrize("content", [{}, [1], dict(meta=None), dict(meta=dict(cfg=dict(a=1)))])
def test_files_without_a_config_return_none(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    assert trained_normalization(tmp_path / "a.pth") is None


@pytest.mark.parametrize(
    "config",
    [
        "",
        "not python (",
        "model = 3",
        "model = dict(type='M')",
        "data_preprocessor = dict(mean=[1.0], std=print('executed'))",
        "data_preprocessor = dict(mean=['a'], std=['b'])",
        "data_preprocessor = dict(mean=[], std=[])",
    ],
)
def test_configs_without_known_images_return_none(config, capsys):
    assert normalization_in(config) is None
    assert capsys.readouterr().out == ""


IMAGES = "model = dict(type='M')\ntrain_dataloader = dict(dataset=dict(pipeline=[%s]))"
LOAD, NORMALIZE = "dict(type='LoadImage')", "dict(type='Normalize', mean=[1.0], std=[2.0])"


def test_without_mean_and_std_images_are_as_they_are():
    found = normalization_in(IMAGES % LOAD)
    assert found == Normalization((0.0,), (1.0,), to_rgb=False)
    assert normalization_in(IMAGES % f"{LOAD}, {NORMALIZE}") is None


@pytest.mark.parametrize("reverses", [True, False])
def test_the_order_follows_from_the_data_of_the_config(reverses):
    images = IMAGES.replace("pipeline", "type='CIFAR10', pipeline")
    for steps, is_bgr in ((LOAD, True), ("", False)):
        preprocessor = f"data_preprocessor = dict(bgr_to_rgb={reverses})"
        found = normalization_in(f"{images % steps}\n{preprocessor}")
        assert found.to_rgb == (is_bgr == reverses)
        assert found.is_order_known


@pytest.mark.parametrize("reverses", [True, False])
@pytest.mark.parametrize("step", ["", "dict(type='OpenTiff')"])
def test_images_in_an_unknown_order_become_or_stay_rgb(step, reverses):
    found = normalization_in(f"{IMAGES % step}\ndata_preprocessor = dict(bgr_to_rgb={reverses})")
    assert found.to_rgb
    assert found.is_order_known == reverses


def test_unknown_images_that_become_bgr_are_bgr():
    found = normalization_in(f"{IMAGES % ''}\ndata_preprocessor = dict(rgb_to_bgr=True)")
    assert found.is_order_known
    assert not found.to_rgb


@pytest.mark.parametrize("inner", [PREPROCESSOR, dict(type="W", data_preprocessor=PREPROCESSOR)])
def test_preprocessors_inside_others_are_read(inner):
    given = dict(type="MultiBranchDataPreprocessor", data_preprocessor=inner)
    assert normalization_in(f"{IMAGES % LOAD}\ndata_preprocessor = {given}") == EXPECTED


@pytest.mark.parametrize("given", ["type='Own'", "type='Own', data_preprocessor=computed()"])
def test_unknown_preprocessors_have_no_known_normalization(given):
    assert normalization_in(f"{IMAGES % LOAD}\ndata_preprocessor = dict({given})") is None
    plain = "data_preprocessor = dict(type='mim_plugins.MixDataPreprocessor')"
    assert normalization_in(f"{IMAGES % LOAD}\n{plain}") is not None


def test_the_number_of_channels_is_that_of_the_backbone():
    config = (
        "model = dict(backbone=dict(in_channels={}), data_preprocessor=dict(mean=[1], std=[1]))"
    )
    for written, channels in (("1", 1), ("4", 4), ("count()", 3)):
        assert normalization_in(config.format(written)).channels == channels


def described(order):
    images = Preprocessing(
        (32, 32), (37, 37), "bicubic", "pillow", 3, order, (1.5, 2, 3), (4, 5, 6)
    )
    return Description(dict(type="MaskedViT"), images)


@pytest.mark.parametrize(("order", "to_rgb"), [("rgb", True), ("bgr", False)])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_exported_files_have_the_described_normalization(tmp_path, order, to_rgb, suffix):
    file, about = tmp_path / f"a.{suffix}", {KEY: described(order).to_json()}
    if suffix == "pth":
        torch.save(dict(meta=about, state_dict={}), file)
    else:
        save_file(dict(x=torch.ones(1)), file, metadata=about)
    assert trained_normalization(file) == EXPECTED._replace(to_rgb=to_rgb)


def test_corrupt_exports_return_none(tmp_path):
    save_file(dict(x=torch.ones(1)), tmp_path / "a.safetensors", metadata={KEY: "{"})
    (tmp_path / "b.safetensors").write_bytes(b"no tensors")
    for name in ("a", "b", "none"):
        assert trained_normalization(tmp_path / f"{name}.safetensors") is None

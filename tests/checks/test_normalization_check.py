import pytest
import torch
from mmengine.config import Config
from mmengine.model import ImgDataPreprocessor
from safetensors.torch import save_file
from torch import nn

from mim_plugins.apis import describe_config
from mim_plugins.backbones import MaskedViT
from mim_plugins.checkpoints.description import KEY
from mim_plugins.checks.normalization_check import check_normalization
from mim_plugins.errors import ConfigError

RGB = dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], bgr_to_rgb=True)


class Model(nn.Module):
    """Model with the parts that the check reads."""

    def __init__(self, checkpoint, **changes):
        super().__init__()
        self.backbone = MaskedViT(
            arch=dict(depth=1, embed_dims=8, num_heads=1),
            init_cfg=dict(type="Pretrained", checkpoint=str(checkpoint), prefix="backbone."),
        )
        self.data_preprocessor = ImgDataPreprocessor(**(RGB | changes))


@pytest.fixture
def checkpoint(tmp_path):
    """Written by a run with the normalization ``RGB``."""
    cfg = Config(dict(model=dict(data_preprocessor=RGB))).pretty_text
    torch.save(dict(meta=dict(cfg=cfg), state_dict={}), tmp_path / "epoch_1.pth")
    return tmp_path / "epoch_1.pth"


def test_equal_normalization_passes(checkpoint):
    assert check_normalization(Model(checkpoint)) == []


def test_another_order_of_channels_is_refused(checkpoint):
    with pytest.raises(ConfigError, match=r"trained on RGB .* passes BGR; set .*to_rgb=True"):
        check_normalization(Model(checkpoint, bgr_to_rgb=False))


@pytest.mark.parametrize("changes", [dict(mean=[1.0, 2.0, 4.0]), dict(std=[1.0, 1.0, 1.0])])
def test_another_mean_or_std_causes_a_warning(checkpoint, changes):
    (warning,) = check_normalization(Model(checkpoint, **changes))
    assert "mean=[1.0, 2.0, 3.0] and std=[4.0, 5.0, 6.0], but this run" in warning


@pytest.mark.parametrize("switch", ["to_rgb", "bgr_to_rgb", "rgb_to_bgr"])
def test_each_switch_of_a_checkpoint_reverses_the_channels(checkpoint, switch):
    reversing = dict(mean=RGB["mean"], std=RGB["std"], **{switch: True})
    cfg = Config(dict(model=dict(data_preprocessor=reversing))).pretty_text
    torch.save(dict(meta=dict(cfg=cfg), state_dict={}), checkpoint)
    assert check_normalization(Model(checkpoint)) == []
    assert check_normalization(Model(checkpoint, bgr_to_rgb=False, rgb_to_bgr=True)) == []
    with pytest.raises(ConfigError, match="trained on RGB"):
        check_normalization(Model(checkpoint, bgr_to_rgb=False))


def test_one_value_for_all_channels_has_no_order(checkpoint):
    for content in (RGB, dict(mean=[9.0], std=[2.0])):
        cfg = Config(dict(model=dict(data_preprocessor=content))).pretty_text
        torch.save(dict(meta=dict(cfg=cfg), state_dict={}), checkpoint)
        model = Model(checkpoint, mean=[9.0], std=[2.0], bgr_to_rgb=content is not RGB)
        assert len(check_normalization(model)) == (content is RGB)
    (warning,) = check_normalization(Model(checkpoint, bgr_to_rgb=False))
    assert "mean=[9.0]" in warning


def test_checkpoints_of_the_whole_model_are_compared(checkpoint):
    model = Model("", bgr_to_rgb=False)
    assert check_normalization(model, "") == check_normalization(model, None) == []
    with pytest.raises(ConfigError, match="trained on RGB"):
        check_normalization(model, str(checkpoint))
    model.init_cfg = dict(type="Pretrained", checkpoint=str(checkpoint))
    with pytest.raises(ConfigError, match="trained on RGB"):
        check_normalization(model)


def test_checkpoints_without_config_are_not_compared(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / "a.pth")
    for path in (tmp_path / "a.pth", tmp_path / "none.pth", "https://example.org/a.pth", ""):
        assert check_normalization(Model(path, bgr_to_rgb=False)) == []


def test_after_initialization_the_checkpoint_is_still_found(checkpoint):
    model = Model(checkpoint, bgr_to_rgb=False)
    tensors = {f"backbone.{key}": value for key, value in model.backbone.state_dict().items()}
    content = torch.load(checkpoint)
    torch.save(content | dict(state_dict=tensors), checkpoint)
    model.backbone.init_weights()
    with pytest.raises(ConfigError, match="trained on RGB"):
        check_normalization(model)


def test_exported_encoders_are_compared(tmp_path):
    given = describe_config(dict(model=dict(backbone=dict(type="MaskedViT"))))
    images = given.preprocessing._replace(
        mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 7.0), channel_order="bgr"
    )
    file, about = tmp_path / "a.safetensors", given._replace(preprocessing=images).to_json()
    save_file(dict(x=torch.ones(1)), file, metadata={KEY: about})
    with pytest.raises(ConfigError, match="trained on BGR"):
        check_normalization(Model(file))
    (warning,) = check_normalization(Model(file, bgr_to_rgb=False))
    assert "std=[4.0, 5.0, 7.0]" in warning

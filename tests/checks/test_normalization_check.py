import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, ImgDataPreprocessor
from safetensors.torch import save_file
from torch import nn

from mim_plugins.apis import describe_config
from mim_plugins.backbones import FrozenBackbone, MaskedViT
from mim_plugins.checkpoints.description import KEY
from mim_plugins.checks.normalization_check import check_normalization
from mim_plugins.errors import ConfigError

RGB = dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], bgr_to_rgb=True)


FILES = dict(train_dataloader=dict(pipeline=[dict(type="LoadImage")]))
MEMORY = dict(val_dataloader=dict(type="CIFAR10", pipeline=[dict(type="PackInputs")]))
OWN = dict(train_dataloader=dict(type="Own", pipeline=[dict(type="PackInputs")]))


def compare(model, load_from=None, datasets=FILES):
    return check_normalization(model, datasets, load_from)


def write_checkpoint(path, steps=("LoadImage",), dataset="CIFAR10", **preprocessor):
    """Write a checkpoint of a run with these transforms and this data preprocessor."""
    pipeline = [dict(type=step) for step in steps]
    cfg = dict(model=dict(type="M", data_preprocessor=preprocessor))
    cfg |= dict(train_dataloader=dict(dataset=dict(type=dataset, pipeline=pipeline)))
    torch.save(dict(meta=dict(cfg=Config(cfg).pretty_text), state_dict={}), path)


class Model(nn.Module):
    """Model with the parts that the check reads."""

    def __init__(self, checkpoint, in_channels=3, **changes):
        super().__init__()
        self.backbone = MaskedViT(
            arch=dict(depth=1, embed_dims=8, num_heads=1),
            in_channels=in_channels,
            init_cfg=dict(type="Pretrained", checkpoint=str(checkpoint), prefix="backbone."),
        )
        self.data_preprocessor = ImgDataPreprocessor(**(RGB | changes))


@pytest.fixture
def checkpoint(tmp_path):
    """Written by a run with the normalization ``RGB``."""
    write_checkpoint(tmp_path / "epoch_1.pth", **RGB)
    return tmp_path / "epoch_1.pth"


def test_equal_normalization_passes(checkpoint):
    assert compare(Model(checkpoint)) == []


def test_another_order_of_channels_is_refused(checkpoint):
    with pytest.raises(ConfigError, match=r"trained on RGB .* as BGR; set .*to_rgb=True"):
        compare(Model(checkpoint, bgr_to_rgb=False))


@pytest.mark.parametrize("changes", [dict(mean=[1.0, 2.0, 4.0]), dict(std=[1.0, 1.0, 1.0])])
def test_another_mean_or_std_causes_a_warning(checkpoint, changes):
    (warning,) = compare(Model(checkpoint, **changes))
    assert "mean=[1.0, 2.0, 3.0] and std=[4.0, 5.0, 6.0], but this run" in warning


@pytest.mark.parametrize("switch", ["to_rgb", "bgr_to_rgb", "rgb_to_bgr"])
def test_each_switch_of_a_checkpoint_reverses_the_channels(checkpoint, switch):
    write_checkpoint(checkpoint, mean=RGB["mean"], std=RGB["std"], **{switch: True})
    assert compare(Model(checkpoint)) == []
    assert compare(Model(checkpoint, bgr_to_rgb=False, rgb_to_bgr=True)) == []
    with pytest.raises(ConfigError, match="trained on RGB"):
        compare(Model(checkpoint, bgr_to_rgb=False))


@pytest.mark.parametrize("trained_reverses", [True, False])
@pytest.mark.parametrize("reverses", [True, False])
@pytest.mark.parametrize("trained_on", ["files", "memory"])
@pytest.mark.parametrize("datasets", [FILES, MEMORY])
def test_data_of_both_runs_count(checkpoint, trained_on, trained_reverses, datasets, reverses):
    steps = ("LoadImage",) if trained_on == "files" else ()
    write_checkpoint(checkpoint, steps, **RGB | dict(bgr_to_rgb=trained_reverses))
    is_rgb = (datasets is FILES) == reverses
    model = Model(checkpoint, bgr_to_rgb=reverses)
    if is_rgb == ((trained_on == "files") == trained_reverses):
        assert compare(model, datasets=datasets) == []
        return
    field = next(iter(datasets))
    message = f"passes those of {field} as .*; set data_preprocessor.to_rgb={not reverses} "
    with pytest.raises(ConfigError, match=message):
        compare(model, datasets=FILES | MEMORY if is_rgb else datasets)
    switched = Model(checkpoint, bgr_to_rgb=not reverses)
    assert compare(switched, datasets=datasets) == []


def test_unknown_orders_are_not_compared(checkpoint):
    """Own data sets may read files themselves, as BGR, which the preprocessor then reverses."""
    for reverses in (True, False):
        assert compare(Model(checkpoint, bgr_to_rgb=reverses), datasets=OWN) == []
        write_checkpoint(checkpoint, (), "Own", **RGB | dict(bgr_to_rgb=reverses))
        assert compare(Model(checkpoint, bgr_to_rgb=reverses)) == []
    write_checkpoint(checkpoint, (), "Own", **RGB)
    with pytest.raises(ConfigError, match="trained on RGB"):
        compare(Model(checkpoint, bgr_to_rgb=False))


def test_preprocessors_inside_others_are_compared(checkpoint):
    """As in mmdet's semi-supervised detectors."""

    def wrapped(**changes):
        model = Model(checkpoint, **changes)
        wrapper = BaseDataPreprocessor()
        wrapper.data_preprocessor = model.data_preprocessor
        model.data_preprocessor = wrapper
        return model

    for _ in range(2):
        assert compare(wrapped()) == []
        (warning,) = compare(wrapped(std=[1.0, 1.0, 1.0]))
        assert "std=[4.0, 5.0, 6.0], but this run" in warning
        with pytest.raises(ConfigError, match=r"trained on RGB .* as BGR; set .*to_rgb=True"):
            compare(wrapped(bgr_to_rgb=False))
        write_checkpoint(checkpoint, type="MultiBranchDataPreprocessor", data_preprocessor=RGB)


def test_unknown_preprocessors_are_not_compared(checkpoint):
    model = Model(checkpoint)
    model.data_preprocessor = nn.Identity()
    assert compare(model) == []
    for entries in ({}, dict(data_preprocessor=None)):
        write_checkpoint(checkpoint, type="Own", **entries)
        assert compare(Model(checkpoint, bgr_to_rgb=False)) == []


def test_data_without_a_pipeline_have_no_order(checkpoint):
    model = Model(checkpoint, bgr_to_rgb=False)
    assert compare(model, datasets=dict(train_dataloader=object())) == []


def test_a_single_value_holds_for_all_channels(checkpoint):
    write_checkpoint(checkpoint, mean=[9.0], std=[2.0], bgr_to_rgb=True)
    assert compare(Model(checkpoint, mean=[9.0] * 3, std=[2.0] * 3)) == []
    with pytest.raises(ConfigError, match="trained on RGB"):
        compare(Model(checkpoint, mean=[9.0], std=[2.0], bgr_to_rgb=False))
    (warning,) = compare(Model(checkpoint, mean=[9.0, 9.0, 8.0], std=[2.0] * 3))
    assert "mean=[9.0]" in warning


def test_other_channels_than_colors_have_no_order(checkpoint):
    (warning,) = compare(Model(checkpoint, 1, mean=[9.0], std=[2.0], bgr_to_rgb=False))
    assert "mean=[9.0]" in warning


def test_without_mean_and_std_images_are_as_they_are(checkpoint):
    plain = Model(checkpoint, mean=None, std=None)
    (warning,) = compare(plain)
    assert "but this run normalizes with mean=[0.0] and std=[1.0]" in warning
    with pytest.raises(ConfigError, match="trained on RGB"):
        compare(Model(checkpoint, mean=None, std=None, bgr_to_rgb=False))
    write_checkpoint(checkpoint, bgr_to_rgb=True)
    assert compare(plain) == []
    (warning,) = compare(Model(checkpoint))
    assert "trained on images with mean=[0.0] and std=[1.0]" in warning


def test_pipelines_that_normalize_are_not_compared(checkpoint):
    steps = [dict(type="LoadImage"), dict(type="Normalize", **RGB)]
    datasets = FILES | dict(val_dataloader=dict(pipeline=steps))
    assert compare(Model(checkpoint, mean=None, std=None), datasets=datasets) == []
    write_checkpoint(checkpoint, ("LoadImage", "Normalize"))
    assert compare(Model(checkpoint, bgr_to_rgb=False)) == []


def test_files_in_the_home_folder_are_compared(checkpoint, monkeypatch):
    monkeypatch.setenv("HOME", str(checkpoint.parent))
    with pytest.raises(ConfigError, match=r"'~/epoch_1\.pth' was trained on RGB"):
        compare(Model(f"~/{checkpoint.name}", bgr_to_rgb=False))


def test_encoders_of_other_packages_in_a_wrapper_are_compared(checkpoint):
    loading = dict(type="Pretrained", checkpoint=str(checkpoint))
    encoder = dict(type="mmpretrain.ResNet", depth=18, init_cfg=loading)
    model = Model("", bgr_to_rgb=False)
    model.backbone = FrozenBackbone(encoder)
    with pytest.raises(ConfigError, match="trained on RGB"):
        compare(model)


def test_checkpoints_of_the_whole_model_are_compared(checkpoint):
    model = Model("", bgr_to_rgb=False)
    assert compare(model, "") == compare(model, None) == []
    with pytest.raises(ConfigError, match="trained on RGB"):
        compare(model, str(checkpoint))
    model.init_cfg = dict(type="Pretrained", checkpoint=str(checkpoint))
    with pytest.raises(ConfigError, match="trained on RGB"):
        compare(model)


def test_checkpoints_without_config_are_not_compared(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / "a.pth")
    for path in (tmp_path / "a.pth", tmp_path / "none.pth", "https://example.org/a.pth", ""):
        assert compare(Model(path, bgr_to_rgb=False)) == []


def test_after_initialization_the_checkpoint_is_still_found(checkpoint):
    model = Model(checkpoint, bgr_to_rgb=False)
    tensors = {f"backbone.{key}": value for key, value in model.backbone.state_dict().items()}
    content = torch.load(checkpoint, weights_only=False)
    torch.save(content | dict(state_dict=tensors), checkpoint)
    model.backbone.init_weights()
    with pytest.raises(ConfigError, match="trained on RGB"):
        compare(model)


def test_exported_encoders_are_compared(tmp_path):
    given = describe_config(dict(model=dict(backbone=dict(type="MaskedViT"))))
    images = given.preprocessing._replace(
        mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 7.0), channel_order="bgr"
    )
    file, about = tmp_path / "a.safetensors", given._replace(preprocessing=images).to_json()
    save_file(dict(x=torch.ones(1)), file, metadata={KEY: about})
    with pytest.raises(ConfigError, match="trained on BGR"):
        compare(Model(file))
    (warning,) = compare(Model(file, bgr_to_rgb=False))
    assert "std=[4.0, 5.0, 7.0]" in warning

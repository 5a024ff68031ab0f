"""The flags of train.py that stand for config entries, on the shipped recipes."""

from argparse import Namespace

import pytest
from mmengine.config import Config

from mim_plugins.apis import override_config, read_config
from mim_plugins.cli.run_arguments import add_train_arguments
from mim_plugins.cli.setting_flags import apply_flags
from mim_plugins.errors import ConfigError
from mim_plugins.transforms.resize_edge import resized_size

PIPELINE = "train_dataloader.dataset.pipeline"
MIXMAE, FINETUNE = "mixmae/swin_b_600e", "mixmae/swin_b_finetune_100e"


def flags(**given):
    names = dict.fromkeys(("img_size", "batch_size", "epochs", "checkpoint"))
    return Namespace(**names | dict(cfg_options={}) | given)


def crops(size, edge):
    """Options of a fine-tuning recipe for a crop and the size before it."""
    options = {f"{PIPELINE}.1.scale": size}
    if not isinstance(size, int):
        ratio = size[1] / size[0]
        options[f"{PIPELINE}.1.aspect_ratio_range"] = [3 / 4 * ratio, 4 / 3 * ratio]
    for loader in ("val", "test"):
        options[f"{loader}_dataloader.dataset.pipeline.1.scale"] = edge
        # CenterCrop of mmcv reads (width, height)
        crop_size = size if isinstance(size, int) else tuple(reversed(size))
        options[f"{loader}_dataloader.dataset.pipeline.2.crop_size"] = crop_size
    return options


@pytest.mark.parametrize(
    ("config", "given", "options"),
    [
        (
            MIXMAE,
            dict(img_size=(384, 384), batch_size=64, epochs=7, checkpoint="x.pth"),
            {
                "model.backbone.img_size": 384,
                "model.backbone.window_size": [16, 16, 12, 12],
                f"{PIPELINE}.0.scale": 384,
                "train_dataloader.batch_size": 64,
                "train_cfg.max_epochs": 7,
                "load_from": "x.pth",
            },
        ),
        (
            FINETUNE,
            dict(img_size=(384, 384), checkpoint="x.pth"),
            {
                "model.backbone.img_size": 384,
                "model.backbone.window_size": [16, 16, 12, 12],
                "model.backbone.init_cfg.checkpoint": "x.pth",
            }
            | crops(384, 439),
        ),
        (
            FINETUNE,
            dict(img_size=(192, 256)),
            {
                "model.backbone.img_size": [192, 256],
                "model.backbone.window_size": [16, 8, "global", "global"],
            }
            | crops([192, 256], [219, 293]),
        ),
        (
            "mrmae/vit_b_linear_probe_90e",
            dict(img_size=(96, 96), checkpoint="x.pth"),
            {
                "model.backbone.encoder.img_size": 96,
                "model.backbone.encoder.init_cfg.checkpoint": "x.pth",
            }
            | crops(96, 110),
        ),
        (
            "mixmae/swin_t_w7_shifted_300e",
            dict(img_size=(112, 112)),
            {"model.backbone.img_size": 112, f"{PIPELINE}.0.scale": 112},
        ),
    ],
)
def test_flags_equal_the_options_they_stand_for(config, given, options):
    by_flags, by_options = read_config(config), read_config(config)
    lines = apply_flags(by_flags, flags(**given))
    override_config(by_options, options)
    assert by_flags.to_dict() == by_options.to_dict()
    assert len(lines) == len(given)
    text = " ".join(lines).replace(", ", ",")
    assert all(f"{key}={value}".replace(", ", ",") in text for key, value in options.items())


def test_no_flag_changes_nothing():
    cfg = read_config(MIXMAE)
    assert apply_flags(cfg, flags()) == []
    assert cfg.to_dict() == read_config(MIXMAE).to_dict()


def test_values_of_the_config_may_be_repeated():
    cfg = read_config(MIXMAE)
    apply_flags(cfg, flags(img_size=(224, 224), batch_size=256, epochs=600))
    assert cfg.model.backbone.pop("window_size") == [14, 14, 14, 7]
    assert cfg.model.backbone.pop("img_size") == 224
    assert cfg.to_dict() == read_config(MIXMAE).to_dict()


def test_sizes_of_rectangles_and_squares_follow_each_other():
    cfg = read_config(FINETUNE)
    before = cfg.to_dict()
    for size in (64, 512), (512, 64), (448, 224), (224, 224):
        apply_flags(cfg, flags(img_size=size))
        train, test = cfg.train_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline
        low, high = train[1].get("aspect_ratio_range")
        assert (low, high) == pytest.approx((0.75 * size[1] / size[0], 4 / 3 * size[1] / size[0]))
        resized = resized_size((1000 * size[0], 1000 * size[1]), test[1].scale, "short")
        share = size[0] * size[1] / (resized[0] * resized[1])
        assert share == pytest.approx((7 / 8) ** 2, rel=0.02)
    assert (test[1].scale, test[2].crop_size) == (256, 224)
    assert cfg.test_dataloader.to_dict() == before["test_dataloader"]


def test_rectangles_are_covered_by_our_transform():
    edge = dict(type="ResizeEdge", scale=256, edge="short", backend="pillow")
    pipeline = [edge, dict(type="mmpretrain.CenterCrop", crop_size=224)]
    given = dict(model=dict(backbone=dict(type="MaskedViT")))
    cfg = Config(given | dict(val_dataloader=dict(dataset=dict(type="A", pipeline=pipeline))))
    apply_flags(cfg, flags(img_size=(96, 192)))
    resize, crop = cfg.val_dataloader.dataset.pipeline
    assert resize == dict(edge, type="mim_plugins.ResizeEdge", scale=[109, 219])
    assert crop.crop_size == (192, 96)


def test_images_inside_of_wrappers_are_resized():
    pipeline = [dict(type="mmpretrain.CenterCrop", crop_size=32)]
    part = dict(type="RepeatDataset", dataset=dict(type="A", pipeline=pipeline))
    cfg = Config(
        dict(
            model=dict(backbone=dict(type="MaskedViT")),
            train_dataloader=dict(dataset=dict(type="ConcatDataset", datasets=[part, part])),
        )
    )
    apply_flags(cfg, flags(img_size=(64, 64)))
    for each in cfg.train_dataloader.dataset.datasets:
        assert each.dataset.pipeline[0].crop_size == 64


@pytest.mark.parametrize(
    ("config", "given", "message"),
    [
        (MIXMAE, dict(epochs=0), "--epochs 0 must be at least 1"),
        (MIXMAE, dict(batch_size=-1), "--batch-size -1 must be at least 1"),
        (MIXMAE, dict(img_size=(0, 96)), "--img-size 0x96 must be at least 1"),
        (
            MIXMAE,
            dict(epochs=5, cfg_options={"train_cfg.max_epochs": 6}),
            "--epochs 5 stands for train_cfg.max_epochs, and --cfg-options has"
            " train_cfg.max_epochs=6: give one of them",
        ),
        (
            MIXMAE,
            dict(img_size=(96, 96), cfg_options={"model.backbone": {}}),
            "model.backbone.img_size",
        ),
        (
            MIXMAE,
            dict(img_size=(96, 96), cfg_options={f"{PIPELINE}.0.scale.x": 1}),
            f"stands for {PIPELINE}.0.scale",
        ),
        ("transfer/ade20k/upernet_mixmae_swin_b_160k", dict(epochs=3), "counts iterations"),
        (
            "transfer/ade20k/upernet_mixmae_swin_b_160k",
            dict(img_size=(96, 96)),
            "--img-size: .*mmseg",
        ),
    ],
)
def test_wrong_or_contradictory_flags_are_refused(config, given, message):
    if "ade20k" in config:
        pytest.importorskip("mmseg")
    with pytest.raises(ConfigError, match=message):
        apply_flags(read_config(config), flags(**given))


@pytest.mark.parametrize(
    ("cfg", "given", "message"),
    [
        (dict(train_dataloader=dict(batch_sampler={})), dict(batch_size=2), "no train_dataloader"),
        (
            dict(model=dict(backbone={}), train_dataloader=dict(dataset=dict(pipeline=[]))),
            dict(img_size=(32, 32)),
            "the pipeline of train_dataloader has no crop",
        ),
    ],
)
def test_configs_without_the_entry_are_refused(cfg, given, message):
    with pytest.raises(ConfigError, match=message):
        apply_flags(Config(cfg), flags(**given))


def test_command_line_has_the_flags():
    from argparse import ArgumentParser

    parser = ArgumentParser()
    add_train_arguments(parser)
    given = ("--img-size", "96x128", "--batch-size", "8", "--epochs", "3", "--checkpoint", "x.pth")
    args = parser.parse_args(["config.py", *given])
    assert (args.img_size, args.batch_size, args.epochs, args.checkpoint) == (
        (96, 128),
        8,
        3,
        "x.pth",
    )

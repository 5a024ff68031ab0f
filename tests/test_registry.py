import logging
import sys

import pytest
from image_folders import write_images
from mmengine.registry import (
    DATASETS,
    HOOKS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    TRANSFORMS,
    DefaultScope,
    Registry,
    root,
)
from tool_runs import run_process

import mim_plugins
from mim_plugins import registry as ours


@pytest.mark.parametrize(
    ("registry", "name"),
    [
        (MODELS, "MixMAE"),
        (MODELS, "MaskedSwin"),
        (MODELS, "MaskedPVT"),
        (MODELS, "MixMAEDecoder"),
        (MODELS, "PixelHead"),
        (MODELS, "MRMAE"),
        (MODELS, "MaskedViT"),
        (MODELS, "MaskedConvViT"),
        (MODELS, "MAEDecoder"),
        (MODELS, "Mimic"),
        (MODELS, "MimicHead"),
        (MODELS, "OpenCLIPTarget"),
        (MODELS, "TimmTarget"),
        (MODELS, "MixDataPreprocessor"),
        (TRANSFORMS, "MixImages"),
        (TRANSFORMS, "PackInputs"),
        (DATASETS, "UnlabeledImageFolder"),
        (HOOKS, "RunSummaryHook"),
        (OPTIM_WRAPPER_CONSTRUCTORS, "LayerDecayOptimWrapperConstructor"),
    ],
)
def test_scoped_names_resolve_in_mmengines_registries(registry, name):
    assert registry.get(f"mim_plugins.{name}").__name__ == name


@pytest.mark.parametrize(
    "name", [name for name, value in vars(root).items() if isinstance(value, Registry)]
)
def test_default_scope_has_every_registry_of_mmengine(name, caplog):
    # MMEngine warns at every build if the default scope lacks a registry of the kind
    registry = getattr(root, name)
    with (
        DefaultScope.overwrite_default_scope("mim_plugins"),
        caplog.at_level(logging.WARNING),
        registry.switch_scope_and_registry(None) as found,
    ):
        assert found.scope == "mim_plugins"
    assert caplog.text == ""


def test_names_resolve_to_ours_then_mmengine_then_mmpretrain():
    pytest.importorskip("mmpretrain")
    assert ours.TRANSFORMS.get("PackInputs").__module__ == "mim_plugins.transforms.pack_inputs"
    assert ours.HOOKS.get("CheckpointHook").__module__.startswith("mmengine.")
    assert ours.DATASETS.get("CustomDataset").__module__ == "mmpretrain.datasets.custom"
    assert ours.TRANSFORMS.get("ColorJitter").__module__.startswith("mmpretrain.")
    assert ours.TRANSFORMS.get("mmpretrain.PackInputs").__module__.startswith("mmpretrain.")
    assert ours.MODELS.get("NoSuchModel") is None
    assert ours.MODELS.get("mim_plugins.ImageClassifier") is None


PRETRAINING = """
import sys
from mmengine.config import Config
from mmengine.registry import DATASETS, HOOKS, MODELS, TRANSFORMS, VISUALIZERS
from mmengine.registry import init_default_scope
from mim_plugins.cli import ConsoleRunner
for recipe, model in eval(sys.argv[2]).items():
    cfg = Config.fromfile(recipe)
    cfg.merge_from_dict(dict(work_dir=f"{sys.argv[1]}/{model['type']}", train_dataloader=dict(
        num_workers=0, persistent_workers=False, batch_size=2,
        dataset=dict(data_root=sys.argv[1]))))
    cfg.model = model
    cfg.train_cfg.max_epochs = 1
    cfg.param_scheduler = None
    cfg.optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-3))
    ConsoleRunner.from_cfg(cfg).train()
zoo = ("mmpretrain.models", "mmpretrain.datasets", "mmpretrain.engine", "mmpretrain.visualization")
print("loaded", [name for name in sys.modules if name.startswith(zoo)])
"""
TINY = {
    "mixmae/swin_b_600e": dict(
        type="mim_plugins.MixMAE",
        backbone=dict(
            type="mim_plugins.MaskedSwin",
            arch=dict(embed_dims=[8, 16, 16], depths=[1, 1, 1], num_heads=[1, 2, 2]),
            img_size=224,
            window_size=[14, 14, 14],
        ),
        decoder=dict(type="mim_plugins.MixMAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        data_preprocessor=dict(
            type="mim_plugins.MixDataPreprocessor",
            batch_transform=dict(type="mim_plugins.MixImages", mask_ratio=0.5),
        ),
    ),
    "mrmae/vit_b_400e": dict(
        type="mim_plugins.MRMAE",
        backbone=dict(type="mim_plugins.MaskedViT", arch=dict(depth=1, embed_dims=16, num_heads=2)),
        decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        mask_ratio=0.75,
        mimics={},
        data_preprocessor=dict(type="mim_plugins.MixDataPreprocessor"),
    ),
}


def test_pre_training_recipes_import_no_mmpretrain_module(tmp_path):
    write_images(tmp_path / "train", 4)
    models = {str(mim_plugins.CONFIG_DIR / f"{name}.py"): model for name, model in TINY.items()}
    printed = run_process(sys.executable, "-c", PRETRAINING, tmp_path, models).stdout
    assert printed.splitlines()[-1] == "loaded []"
    for model in models.values():
        assert (tmp_path / model["type"] / "epoch_1.pth").is_file()

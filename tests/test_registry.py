import logging
import subprocess
import sys
from pathlib import Path

import pytest
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
from pathlib import Path
from mmengine.config import Config
from mmengine.registry import DATASETS, HOOKS, MODELS, TRANSFORMS, VISUALIZERS
from mmengine.registry import init_default_scope
from mim_plugins.cli import ConsoleRunner
cfg = Config.fromfile(sys.argv[1])
cfg.merge_from_dict(dict(work_dir=sys.argv[2], train_dataloader=dict(num_workers=0,
    persistent_workers=False, batch_size=2, dataset=dict(data_root=sys.argv[3]))))
cfg.model = eval(sys.argv[4])
cfg.train_cfg.max_epochs = 1
cfg.param_scheduler = None
cfg.optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-3))
ConsoleRunner.from_cfg(cfg).train()
zoo = ("mmpretrain.models", "mmpretrain.datasets", "mmpretrain.engine", "mmpretrain.visualization")
print("loaded", [name for name in sys.modules if name.startswith(zoo)])
"""
TINY = dict(
    mixmae=dict(
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
    mrmae=dict(
        type="mim_plugins.MRMAE",
        backbone=dict(type="mim_plugins.MaskedViT", arch=dict(depth=1, embed_dims=16, num_heads=2)),
        decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        mask_ratio=0.75,
        mimics={},
        data_preprocessor=dict(type="mim_plugins.MixDataPreprocessor"),
    ),
)


@pytest.mark.parametrize(
    ("recipe", "model"), [("mixmae/swin_b_600e", "mixmae"), ("mrmae/vit_b_400e", "mrmae")]
)
def test_a_pre_training_recipe_imports_no_mmpretrain_module(tmp_path, recipe, model):
    import numpy as np
    from PIL import Image

    (tmp_path / "train").mkdir()
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"train/{index}.jpg")
    result = subprocess.run(
        [
            *(sys.executable, "-c", PRETRAINING),
            *(Path(mim_plugins.CONFIG_DIR, f"{recipe}.py"), tmp_path / "run", tmp_path),
            repr(TINY[model]),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.stdout.splitlines()[-1] == "loaded []", result.stdout + result.stderr
    assert (tmp_path / "run/epoch_1.pth").is_file()

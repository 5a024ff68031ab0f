"""Each recipe has the settings of its table, and states those that are our choice."""

import math
import re
from pathlib import Path

import measured_settings
import pytest
from built_recipe import CONFIGS, ROOT, BuiltRecipe, scope_of
from config_files import load_config
from shared import shared_settings
from table import RECIPES, model_zoo

TOLERANCE = dict(schedule=6e-3)  # a warm-up of few steps reaches its end one step early


def same(found, expected, tolerance=1e-5):
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            same(found[key], value, tolerance) for key, value in expected.items()
        )
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(
            same(one, other, tolerance) for one, other in zip(found, expected, strict=True)
        )
    if isinstance(expected, float) and found is not None:
        return math.isclose(found, expected, rel_tol=tolerance, abs_tol=2e-6)
    return found == expected


def test_each_config_has_a_table():
    assert set(RECIPES) == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_built_recipe_has_the_settings_of_its_table(name):
    pytest.importorskip(scope_of(name), exc_type=ImportError)
    if name.startswith("transfer/coco"):
        pytest.importorskip("mmcv.ops", exc_type=ImportError)
    recipe = BuiltRecipe(name)
    trained = sum(p.numel() for p in recipe.model.parameters() if p.requires_grad)
    grouped = sum(p.numel() for g in recipe.optimizer.param_groups for p in g["params"])
    assert differences(recipe) == {}
    assert normalization_in_pre_training(recipe) == RECIPES[name]["normalization"].value
    assert grouped == trained
    assert "mim_plugins" in recipe.cfg.custom_imports.imports


FINE_TUNING, PRE_TRAINING = "mixmae/swin_b_finetune_100e.py", "mrmae/vit_b_400e.py"
DETECTION = "transfer/coco/mask_rcnn_mrmae_mcmae_b_25e.py"
SEGMENTATION = "transfer/ade20k/upernet_mrmae_vit_b_160k.py"
TRAIN = "train_dataloader.dataset"


@pytest.mark.parametrize(
    ("name", "quantity", "changes"),
    [
        (FINE_TUNING, "optimization", {"optim_wrapper.accumulative_counts": 4}),
        (FINE_TUNING, "optimization", {"optim_wrapper.optimizer.eps": 1e-4}),
        (FINE_TUNING, "optimization", {"custom_hooks": [dict(type="EMAHook")]}),
        (FINE_TUNING, "loader", {"train_dataloader.batch_size": 32}),
        (FINE_TUNING, "data", {f"{TRAIN}.split": "val"}),
        (FINE_TUNING, "transforms", {f"{TRAIN}.pipeline.1.backend": "cv2"}),
        (FINE_TUNING, "transforms", {f"{TRAIN}.pipeline.4.fill_std": [1.0, 1.0, 1.0]}),
        (FINE_TUNING, "encoder", {"model.backbone.shift_windows": True}),
        (FINE_TUNING, "encoder", {"model.backbone.global_blocks": (9,)}),
        (FINE_TUNING, "start", {"model.backbone.init_cfg": None}),
        (FINE_TUNING, "method", {"model.head.loss.mode": "classy_vision"}),
        (PRE_TRAINING, "method", {"model.mimics.clip.weight": 10.0}),
        (PRE_TRAINING, "method", {"model.mimics.clip.target_generator.normalize": False}),
        (DETECTION, "method", {"model.neck.1.norm_cfg": None}),
        (DETECTION, "method", {"model.test_cfg.rcnn.score_thr": 0.5}),
        (DETECTION, "transforms", {f"{TRAIN}.pipeline.2.keep_ratio": False}),
        (SEGMENTATION, "encoder", {"model.backbone.out_indices": (8, 9, 10, 11)}),
        (SEGMENTATION, "method", {"model.auxiliary_head.in_index": 3}),
    ],
)
def test_a_changed_setting_is_noticed(name, quantity, changes):
    pytest.importorskip(scope_of(name), exc_type=ImportError)
    if name == DETECTION:
        pytest.importorskip("mmcv.ops", exc_type=ImportError)
    cfg = load_config(name)
    cfg.merge_from_dict(changes)
    assert quantity in differences(BuiltRecipe(name, cfg))


def differences(recipe):
    """Measure a built recipe; return the quantities that differ from the table's."""
    found = {}
    for quantity, row in RECIPES[recipe.name].items():
        value = recipe.measure(quantity, row.value)
        if not same(value, row.value, TOLERANCE.get(quantity, 1e-5)):
            found[quantity] = f"{value}, but {row.value} ({row.source})"
    for quantity, expected in shared_settings(recipe.name).items():
        value = getattr(measured_settings, quantity)(recipe)
        if not same(value, expected):
            found[quantity] = f"{value}, but {expected}"
    return found


def normalization_in_pre_training(recipe):
    """Return the normalization of the recipe whose checkpoint is loaded, or else its own."""
    init_cfg = getattr(recipe.encoder, "init_cfg", None) or {}
    checkpoint = isinstance(init_cfg, dict) and init_cfg.get("checkpoint")
    if not checkpoint:
        return RECIPES[recipe.name]["normalization"].value
    folder, file = Path(checkpoint).parts[-2:]
    folder = {"pretrain": "mixmae_digits"}.get(folder, folder)
    (writer,) = [name for name in CONFIGS if Path(name).stem == folder]
    assert file == f"epoch_{RECIPES[writer]['length'].value}.pth"
    return RECIPES[writer]["normalization"].value


@pytest.mark.parametrize("name", CONFIGS)
def test_our_choices_stand_in_the_header(name):
    stated = header(ROOT / name)
    words = {row.choice for row in RECIPES[name].values() if row.choice}
    assert {each for each in words if each not in stated} == set()


def test_the_model_zoo_lists_whose_settings_a_recipe_has():
    page = (ROOT.parent / "docs/model_zoo.md").read_text()
    assert model_zoo() in page, "update the table with python tests/recipes/table.py"


def header(file):
    """Docstring of a config and comments of the files that it is based on, on one line."""
    text = file.read_text()
    docstring = text.split('"""')[1] if text.startswith('"""') else ""
    comments = " ".join(re.findall(r"# ?(.*)", text))
    bases = [comments] + [
        header((file.parent / base).resolve())
        for base in re.findall(r'"([^":]*\.py)"', text.split("_base_ =")[-1].split("\n\n")[0])
        if "_base_ =" in text and "{" not in base  # other packages' files, by path
    ]
    return " ".join(" ".join([docstring, *bases]).split())

"""Each recipe has the settings of its table, and states those that are our choice."""

import math
import re
from pathlib import Path

import pytest
from built_recipe import CONFIGS, ROOT, SCOPES, BuiltRecipe
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
    scope = next((scope for start, scope in SCOPES.items() if name.startswith(start)), "mmpretrain")
    pytest.importorskip(scope, exc_type=ImportError)
    if name.startswith("transfer/coco"):
        pytest.importorskip("mmcv.ops", exc_type=ImportError)
    recipe = BuiltRecipe(name)
    trained = sum(p.numel() for p in recipe.model.parameters() if p.requires_grad)
    grouped = sum(p.numel() for g in recipe.optimizer.param_groups for p in g["params"])
    differences = {}
    for quantity, row in RECIPES[name].items():
        found = recipe.measure(quantity, row.value)
        if not same(found, row.value, TOLERANCE.get(quantity, 1e-5)):
            differences[quantity] = f"{found}, but {row.value} ({row.source})"
    assert differences == {}
    assert normalization_in_pre_training(recipe) == RECIPES[name]["normalization"].value
    assert grouped == trained
    assert "mim_plugins" in recipe.cfg.custom_imports.imports


def normalization_in_pre_training(recipe):
    """Of the recipe that writes the checkpoint; a recipe without checkpoint is its own."""
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

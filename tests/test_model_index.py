"""model-index.yml and the metafiles: what mim and the model hubs read."""

from pathlib import Path

import pytest
import yaml
from config_files import load_config
from modelindex.load_model_index import load

from mim_plugins import list_models

ROOT = Path(__file__).parents[1]
IMPORTS = yaml.safe_load((ROOT / "model-index.yml").read_text())["Import"]
METAFILES = {name: yaml.safe_load((ROOT / name).read_text()) for name in IMPORTS}
MODELS = [model for metafile in METAFILES.values() for model in metafile["Models"]]
# a demonstration on digits, not a model
UNLISTED = ("quickstart/",)


def named(models):
    return pytest.mark.parametrize("model", models, ids=[model["Name"] for model in models])


def test_index_imports_every_metafile():
    files = {file.relative_to(ROOT).as_posix() for file in ROOT.glob("configs/**/metafile.yml")}
    assert set(IMPORTS) == files


def test_every_recipe_is_listed_once():
    configs = sorted(model["Config"] for model in MODELS)
    recipes = [name for name in list_models() if not name.startswith(UNLISTED)]
    assert configs == [f"configs/{name}.py" for name in recipes], (
        "add the new config to metafile.yml of its folder"
    )


def test_names_and_links_between_models():
    names = [model["Name"] for model in MODELS]
    assert len(names) == len(set(names))
    defined = [entry for file in METAFILES.values() for entry in file.get("Collections", [])]
    collections = [collection["Name"] for collection in defined]
    assert len(collections) == len(set(collections))
    assert {model["In Collection"] for model in MODELS} == set(collections)
    assert {name for model in MODELS for name in model.get("Downstream", [])} <= set(names)


@named(MODELS)
def test_metadata_is_what_the_config_says(model):
    for folder, package in (("transfer/coco", "mmdet"), ("transfer/ade20k", "mmseg")):
        if folder in model["Config"]:
            pytest.importorskip(package, exc_type=ImportError)
    cfg = load_config(model["Config"].removeprefix("configs/"))
    metadata = model["Metadata"]
    length = dict(Epochs=cfg.train_cfg.get("max_epochs"), Iterations=cfg.train_cfg.get("max_iters"))
    assert {key: metadata.get(key) for key in length} == length
    assert metadata["Batch Size"] == cfg.auto_scale_lr.base_batch_size


@named([model for model in MODELS if model["Results"]])
def test_results_are_marked_as_published_and_stand_in_the_recipe(model):
    assert model["Metadata"]["Source of Results"].startswith("published by the authors")
    assert "not reproduced here" in model["Metadata"]["Source of Results"]
    header = " ".join((ROOT / model["Config"]).read_text().split('"""')[1].split())
    for result in model["Results"]:
        for value in result["Metrics"].values():
            assert f"Result: {value} " in header
    assert "published" in header


def test_no_weights_are_promised():
    assert not [model["Name"] for model in MODELS if "Weights" in model]


def test_papers_with_code_library_reads_the_index():
    index = load(str(ROOT / "model-index.yml"))
    index.build_models_with_collections()
    assert len(index.models) == len(MODELS)
    assert not index.check(silent=True)

"""Configs have headers, and the numbers of parameters that were published."""

import built_recipe
import pytest
from built_recipe import ROOT, build_without_memory
from config_files import load_config as load
from mmengine.registry import TRANSFORMS, DefaultScope

pytest.importorskip("mmpretrain", exc_type=ImportError)
# models built in mmdet's or mmsegmentation's scope have separate tests
CONFIGS = [name for name in built_recipe.CONFIGS if not name.startswith(tuple(built_recipe.SCOPES))]


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def test_each_config_has_a_work_folder_of_its_own():
    assert "mixmae/swin_b_600e.py" in CONFIGS
    # it is named after the file: of two with one name, one would resume from the other
    stems = [file.stem for file in ROOT.rglob("*.py") if "_base_" not in file.parts]
    assert {stem for stem in stems if stems.count(stem) > 1} == set()


def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


@pytest.mark.parametrize("name", CONFIGS)
def test_header_states_paper_cost_and_command(name):
    header = (ROOT / name).read_text().split('"""')[1]
    for word in ("Paper:", "Cost:", "Command:"):
        assert word in header or (word == "Paper:" and name.startswith("quickstart")), word


@pytest.mark.parametrize(
    ("name", "published"),
    [
        # whole classification models, in the authors' README
        ("mixmae/swin_b_finetune_100e.py", 88),
        ("mixmae/swin_l_finetune_100e.py", 197),
        ("mixmae/swin_b_384_finetune_100e.py", 89.6),
        ("mixmae/swin_l_384_finetune_100e.py", 199),
    ],
)
def test_parameter_counts_are_the_published_ones(name, published):
    model = build_without_memory(load(name))
    # the authors count the fixed position embedding, which is a parameter in their code
    total = millions(model) + model.backbone.pos_embed.numel() / 1e6
    assert total == pytest.approx(published, rel=0.005)


def test_huge_has_the_parameters_of_the_authors_code():
    # width 352 gives 655 M; the paper's abstract rounds to 600 M
    model = build_without_memory(load("mixmae/swin_h_600e.py"))
    assert millions(model.backbone) == pytest.approx(600, rel=0.1)


def test_pre_training_loads_fast_and_one_option_makes_it_exact():
    cfg = load("mixmae/swin_b_600e.py")
    pipeline = cfg.train_dataloader.dataset.pipeline
    assert [transform.type for transform in pipeline] == [
        "mim_plugins.LoadRandomResizedCrop",
        "PackInputs",
    ]
    fast = TRANSFORMS.build(pipeline[0])
    assert (fast.backend, fast.check_full_file) == ("fast", "first_epoch")

    cfg.merge_from_dict({"train_dataloader.dataset.pipeline.0.backend": "exact"})
    exact = TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[0])
    assert (exact.backend, exact.size, exact.flip_prob) == ("exact", (224, 224), 0.5)
    assert exact.crop_ratio_range == (0.2, 1.0)


def test_baselines_load_their_images_as_ours_do():
    ours = load("mixmae/swin_b_600e.py").train_dataloader.dataset.pipeline
    mae, simmim, beit = (
        load(f"baselines/{name}_400e.py").train_dataloader.dataset.pipeline
        for name in ("mae_vit_b", "simmim_swin_b", "beitv2_vit_b")
    )
    assert mae == ours
    assert [simmim[0], simmim[-1]] == ours
    assert [t.type for t in simmim[1:-1]] == ["SimMIMMaskGenerator"]
    # two views of one picture: it must be loaded whole
    assert (beit[0].type, beit[-1]) == ("mim_plugins.LoadImage", ours[-1])
    assert "LoadRandomResizedCrop" not in str(beit)

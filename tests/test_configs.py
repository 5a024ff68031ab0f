"""Every config of the repository builds, with the sizes and schedules that were published."""

import inspect
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, TRANSFORMS, DefaultScope

import mim_plugins  # noqa: F401
from mim_plugins.registry import MODELS

ROOT = Path(__file__).parents[1] / "configs"
# what is built in mmdet's or mmsegmentation's scope has tests of its own
OTHER_SCOPES = ("transfer/coco", "transfer/ade20k")
CONFIGS = sorted(
    name
    for file in ROOT.rglob("*.py")
    if "_base_" not in file.parts
    and not (name := file.relative_to(ROOT).as_posix()).startswith(OTHER_SCOPES)
)
DATASETS = pytest.importorskip("mmpretrain.registry", exc_type=ImportError).DATASETS


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def load(name):
    return Config.fromfile(ROOT / name)


def test_each_config_has_a_work_folder_of_its_own():
    # it is named after the file: of two with one name, one would resume from the other
    stems = [file.stem for file in ROOT.rglob("*.py") if "_base_" not in file.parts]
    assert {stem for stem in stems if stems.count(stem) > 1} == set()


def build_without_memory(cfg):
    """The model on the meta device: shapes only."""
    model_cfg = cfg.model
    if "data_preprocessor" in cfg:
        model_cfg.setdefault("data_preprocessor", cfg.data_preprocessor)
    for mimic in model_cfg.get("mimics", {}).values():
        mimic.target_generator = check_and_replace_target(mimic.target_generator)
    # mmpretrain's Swin reads its drop path rates from a tensor, which needs one with numbers
    with torch.device("cpu" if model_cfg.type == "SimMIM" else "meta"):
        return MODELS.build(model_cfg)


class FakeTarget(torch.nn.Module):
    """In place of teachers, whose weights are not at hand."""

    out_channels = 8
    has_cls_attention = True


def check_and_replace_target(target):
    arguments = dict(target)
    inspect.signature(MODELS.get(arguments.pop("type"))).bind(**arguments)
    return dict(type=FakeTarget)


def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


def test_there_are_configs():
    assert "mixmae/swin_b_600e.py" in CONFIGS


@pytest.mark.parametrize("name", CONFIGS)
def test_model_pipelines_and_optimizer_build(name):
    cfg = load(name)
    model = build_without_memory(cfg)
    assert "mim_plugins" in cfg.custom_imports.imports
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        if cfg.get(loader):
            dataset = cfg[loader].dataset
            while "dataset" in dataset:  # wrappers such as RepeatDataset
                dataset = dataset.dataset
            assert DATASETS.get(dataset.type) is not None
            for transform in dataset.pipeline:
                TRANSFORMS.build(transform)
    wrapper_cfg = cfg.optim_wrapper
    wrapper_cfg.type = "OptimWrapper"  # mixed precision refuses to be built without a GPU
    for name in ("dtype", "loss_scale"):
        wrapper_cfg.pop(name, None)
    wrapper = build_optim_wrapper(model, wrapper_cfg)
    grouped = sum(p.numel() for g in wrapper.optimizer.param_groups for p in g["params"])
    assert grouped == sum(p.numel() for p in model.parameters() if p.requires_grad)


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


@pytest.mark.parametrize("name", [n for n in CONFIGS if not n.startswith("quickstart/")])
def test_schedule_warms_up_and_ends_at_its_minimum(name):
    cfg = load(name)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    epochs, per_epoch = cfg.train_cfg.max_epochs, 2
    schedulers = [build_scheduler(s, optimizer, epochs, per_epoch) for s in cfg.param_scheduler]
    rates = []
    for _ in range(epochs * per_epoch):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    warmup = cfg.warmup_epochs * per_epoch
    assert rates[0] < 1e-3
    assert rates[warmup] == pytest.approx(1.0, rel=1e-2)
    assert rates[: warmup + 1] == sorted(rates[: warmup + 1])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert rates[-1] < 1e-2


def build_scheduler(scheduler_cfg, optimizer, epochs, per_epoch):
    # as Runner.build_param_scheduler does: without an end, it is the last epoch
    cfg = dict(scheduler_cfg)
    cfg.setdefault("end", epochs)
    cls = PARAM_SCHEDULERS.get(cfg.pop("type"))
    cfg.pop("convert_to_iter_based")
    return cls.build_iter_from_epoch(optimizer=optimizer, epoch_length=per_epoch, **cfg)


def test_learning_rates_follow_the_batch_rule():
    pretrain, finetune = load("mixmae/swin_b_600e.py"), load("mixmae/swin_b_finetune_100e.py")
    assert pretrain.optim_wrapper.optimizer.lr == pytest.approx(1.5e-4 * 2048 / 256)
    assert finetune.optim_wrapper.optimizer.lr == pytest.approx(5e-4 * 1024 / 256)
    assert pretrain.train_dataloader.batch_size * 8 == pretrain.auto_scale_lr.base_batch_size
    assert finetune.train_dataloader.batch_size * 8 == finetune.auto_scale_lr.base_batch_size


def test_fine_tuning_at_384_uses_the_authors_windows_and_crops():
    cfg = load("mixmae/swin_b_384_finetune_100e.py")
    model = build_without_memory(cfg)
    assert [stage.planner.window for stage in model.backbone.stages] == [16, 16, 24, 12]
    assert cfg.train_dataloader.dataset.pipeline[1].scale == 384
    assert cfg.test_dataloader.dataset.pipeline[2].crop_size == 384


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

from pathlib import Path

import pytest
from mmengine.config import Config

from mim_plugins.apis import list_models, read_config
from mim_plugins.config import misspelled_argument, misspelled_entry, unread_entries

LOOP = dict(by_epoch=True, max_epochs=3)


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        (dict(train_dataloader=dict(bach_size=8)), "train_dataloader.batch_size"),
        (dict(val_dataloader=dict(num_worker=2)), "val_dataloader.num_workers"),
        (dict(train_dataloader=dict(sampler=dict(type="DefaultSampler", shufle=True))),
         "train_dataloader.sampler.shuffle"),
        (dict(train_cfg=dict(by_epoch=True, max_epoch=3)), "train_cfg.max_epochs"),
        (dict(train_cfg=dict(type="mim_plugins.ResumableEpochLoop", max_epoch=3)),
         "train_cfg.max_epochs"),
        (dict(val_cfg=dict(type="ValLoop", fp61=True)), "val_cfg.fp16"),
        (dict(optim_wrapper=dict(optimizer=dict(type="AdamW", weigth_decay=0.05))),
         "optim_wrapper.optimizer.weight_decay"),
        (dict(optim_wrapper=dict(acumulative_counts=2)), "optim_wrapper.accumulative_counts"),
        (dict(optim_wrapper=dict(clip_grad=dict(max_nrom=1))), "optim_wrapper.clip_grad.max_norm"),
        (dict(optim_wrapper=dict(constructor="mim_plugins.Any", acumulative_counts=2)),
         "optim_wrapper.accumulative_counts"),
        (dict(optim_wrapper=dict(
            constructor="mim_plugins.LayerDecayOptimWrapperConstructor", clip_gradients=1)),
         "optim_wrapper.clip_grad"),
        (dict(param_scheduler=[dict(type="LinearLR", by_epoc=True)]), "param_scheduler.0.by_epoch"),
        (dict(param_scheduler=dict(type="CosineAnnealingLR", T_maxx=3)), "param_scheduler.T_max"),
        (dict(randomness=dict(sead=0)), "randomness.seed"),
        (dict(compile=dict(mod="max-autotune")), "compile.mode"),
        (dict(compile=dict(memory_budgt=0.9, scope="blocks")), "compile.memory_budget"),
        (dict(model_wrapper_cfg=dict(find_unused_paramters=True)),
         "model_wrapper_cfg.find_unused_parameters"),
        (dict(env_cfg=dict(dist_cfg=dict(timout=1))), "env_cfg.dist_cfg.timeout"),
        (dict(env_cfg=dict(dist_cfg=dict(backnd="gloo"))), "env_cfg.dist_cfg.backend"),
        (dict(optim_wrapper=dict(paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mul=1))))),
         "optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult"),
        (dict(default_hooks=dict(checkpoint=dict(type="CheckpointHook", intervall=1))),
         "default_hooks.checkpoint.interval"),
        (dict(default_hooks=dict(chekpoint=dict(type="CheckpointHook"))),
         "default_hooks.checkpoint"),
    ],
)  # fmt: skip
def test_a_misspelled_argument_is_named_with_the_nearest(entries, named):
    problem = misspelled_argument(Config(entries))
    assert problem.endswith(f"did you mean {named}?")


@pytest.mark.parametrize(
    "entries",
    [
        dict(train_cfg=LOOP, train_dataloader=None),
        dict(optim_wrapper=dict(type="OptimWrapper", dtype="bfloat16", loss_scale="dynamic")),
        dict(optim_wrapper=dict(constructor="GANConstructor", generator=dict(type="OptimWrapper"))),
        dict(param_scheduler=dict(generator=[dict(type="LinearLR", convert_to_iter_based=True)])),
        dict(train_cfg=dict(type="elsewhere.Loop", anything=1)),
        dict(val_dataloader=[dict(batch_size=1)], default_hooks=dict(mine=dict(type="NoHook"))),
        dict(train_dataloader=dict(dataset=dict(type="ImageNet", anything=1))),
    ],
)
def test_what_another_class_may_take_passes(entries):
    assert misspelled_argument(Config(entries)) is None


@pytest.mark.parametrize("name", ["mixmae/swin_b_600e_knn", "mrmae/vit_b_200e"])
def test_recipes_have_no_misspelled_argument(name):
    assert name in list_models()
    assert misspelled_argument(read_config(name)) is None


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("optim_wraper", "optim_wrapper"),
        ("default_hook", "default_hooks"),
        ("custom_hook", "custom_hooks"),
        ("train_dataloder", "train_dataloader"),
        ("val_cgf", "val_cfg"),
        ("train_cfh", "train_cfg"),
        ("modle", "model"),
        ("param_schedulers", "param_scheduler"),
        ("val_evalutor", "val_evaluator"),
        ("randomnes", "randomness"),
    ],
)
def test_an_entry_whose_name_nothing_reads_is_an_error(key, near):
    problem = misspelled_entry(Config({key: dict(a=1), "val_cfg": dict(type="A")}))
    assert problem.startswith(f"the config's entry '{key}' has no effect; did you mean {near}?")


@pytest.mark.parametrize(
    ("key", "value", "near"),
    [
        ("load_form", "a.pth", "load_from"),
        ("resum", True, "resume"),
        ("work_dirr", "x", "work_dir"),
        ("log_levl", "INFO", "log_level"),
        ("sync_bnn", "torch", "sync_bn"),
        ("find_unused_paramters", True, "find_unused_parameters"),
        ("compil", True, "compile"),
        ("default_scop", "mmdet", "default_scope"),
        ("experiment_nam", "x", "experiment_name"),
    ],
)
def test_a_misspelled_entry_of_any_type_is_named(key, value, near):
    assert f"did you mean {near}?" in misspelled_entry(Config({key: value}))


@pytest.mark.parametrize(("key", "value"), [("mode", "train"), ("models", 3), ("lr", 0.1)])
def test_a_variable_of_another_type_is_no_misspelling(key, value):
    assert misspelled_entry(Config({key: value})) is None


def test_a_variable_that_is_used_is_no_misspelling():
    assert misspelled_entry(Config(dict(modle=dict(a=1), model=dict(a=1)))) is None


@pytest.mark.parametrize(
    ("key", "value", "new"),
    [
        ("hooks", [dict(type="EMAHook")], "custom_hooks"),
        ("lr_config", dict(policy="step"), "param_scheduler"),
        ("checkpoint_config", dict(interval=1), "default_hooks.checkpoint"),
        ("fp16", dict(loss_scale=512.0), "optim_wrapper.type='AmpOptimWrapper'"),
        ("runner", dict(max_epochs=3), "train_cfg"),
        ("seed", 3, "randomness.seed"),
        ("resume_from", "a.pth", "load_from, with resume=True"),
    ],
)
def test_an_entry_of_mmcv_1_is_named_with_the_new_one(key, value, new):
    (warning,) = unread_entries(Config({key: value}))
    assert warning.endswith(f"one of MMCV 1, now {new}")
    assert unread_entries(Config({key: None})) == []


def test_an_old_name_that_is_a_variable_is_no_warning():
    assert unread_entries(Config(dict(randomness=dict(seed=0), seed=0))) == []
    wrapper = dict(optimizer=dict(type="AdamW", lr=1.0))  # of a config that changes its base
    assert unread_entries(Config(dict(optim_wrapper=wrapper, optimizer=dict(type="SGD")))) == []


@pytest.mark.parametrize("key", ["mimics", "backbone", "data_preprocessor"])
def test_a_part_of_the_model_outside_of_it_is_a_warning(key):
    model = dict(type="A", **{key: dict(a=1, b=dict(c=2))})
    (warning,) = unread_entries(Config({"model": model, key: dict(b=dict(c=3))}))
    assert warning.endswith(f"write model = dict({key}=...)")
    (warning,) = unread_entries(Config({"model": model, key: dict(d=1)}))
    assert f"differs from model.{key}" in warning


@pytest.mark.parametrize(
    "entries",
    [
        dict(model=dict(neck=dict(a=1, b=2)), neck=dict(a=1)),
        dict(model=dict(neck=dict(b=2), head=dict(neck=dict(a=1))), neck=dict(a=1)),
        dict(model=dict(train_cfg=dict(a=1)), train_cfg=dict(a=2)),
        dict(model=dict(neck=dict(b=2)), neck=3, data_preprocessor=dict(a=1)),
    ],
)
def test_variables_of_the_model_cause_no_warning(entries):
    assert unread_entries(Config(entries)) == []


@pytest.mark.parametrize(
    "key",
    [
        "train_pipeline", "test_pipeline", "val_pipeline", "data_root", "dataset_type",
        "backbone_norm_cfg", "img_scales", "tta_model", "tta_pipeline", "vis_backends", "classes",
        "model_wrapper", "val_dataloader_cfg", "models", "conv_cfg", "norm_cfg", "custom_keys",
        "val_evaluator_abs", "pipeline", "gallery_dataloader", "model_cfg", "custom_imports",
        "load_pipeline", "optimizer", "test_dataloader", "env_cfg", "metainfo", "train_dataset",
    ],
)  # fmt: skip
def test_a_usual_variable_is_no_misspelling(key):
    assert misspelled_entry(Config({key: dict(a=1)})) is None


def test_the_variables_of_all_recipes_are_no_misspelling():
    folder = Path(__file__).parents[2] / "configs"
    keys = {
        line.partition("=")[0].strip()
        for file in folder.rglob("*.py")
        for line in file.read_text().splitlines()
        if "=" in line and line.partition("=")[0].strip().isidentifier() and line[0] != " "
    }
    assert len(keys) > 10
    assert misspelled_entry(Config({key: dict(a=1) for key in keys})) is None

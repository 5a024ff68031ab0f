import argparse
import copy
import re

import pytest
from mmengine.config import Config

from mim_plugins.apis import read_config
from mim_plugins.cli import add_config_options
from mim_plugins.config import merge_options

PLAIN = dict(
    default_scope="mim_plugins",
    work_dir="x",
    train_pipeline=[dict(type="PackInputs", input_key="a")],
    size=(31, 32),
    own=dict(entry=1, flag=True, size=3),
    lr=1e-3 * 4096 / 256,
    model=dict(
        type="mim_plugins.MixMAE",
        backbone=dict(type="mim_plugins.MaskedSwin", window_size=[7, 7], arch="tiny"),
        test_cfg=dict(mode="whole", scale=(31, 32)),
    ),
    train_dataloader=dict(
        batch_size=4,
        sampler=dict(type="DefaultSampler", shuffle=True),
        dataset=dict(
            type="UnlabeledImageFolder",
            data_prefix=dict(img_path="a"),
            pipeline=[dict(type="PackInputs", input_key="a")],
        ),
    ),
    val_dataloader=None,
    train_cfg=dict(type="EpochBasedTrainLoop", max_epochs=3),
    optim_wrapper=dict(
        type="AmpOptimWrapper",
        optimizer=dict(type="AdamW", lr=1e-3, betas=(0.9, 0.99)),
        paramwise_cfg=dict(layer_decay_rate=0.7),
    ),
    param_scheduler=[dict(type="LinearLR", begin=0, end=5)],
    default_hooks=dict(
        checkpoint=dict(type="CheckpointHook", interval=1), average=dict(type="EMAHook")
    ),
    custom_hooks=[dict(type="EMAHook"), dict(type="SyncBuffersHook")],
    resume=False,
)


def parse(options):
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    return parser.parse_args(["--cfg-options", *options.split()]).cfg_options


def changed(options):
    cfg = Config(copy.deepcopy(PLAIN))
    merge_options(cfg, parse(options) if isinstance(options, str) else options)
    return cfg


def at(cfg, path):
    node = cfg
    for key in path.split("."):
        node = node[int(key)] if isinstance(node, list) else node[key]
    return node


@pytest.mark.parametrize(
    "option",
    [
        # existing entries
        "model.backbone.arch=small", "train_dataloader.batch_size=8",
        "param_scheduler.0.end=9", "custom_hooks=[]", "work_dir=None", "resume=True",
        # arguments of the classes that are built
        "model.backbone.drop_path_rate=0.2", "model.backbone.img_size=[192,224]",
        "train_dataloader.dataset.ann_file=list.txt", "train_dataloader.sampler.seed=3",
        "train_dataloader.dataset.pipeline.0.meta_keys=[a]", "train_cfg.val_interval=2",
        "optim_wrapper.optimizer.weight_decay=0.1", "optim_wrapper.accumulative_counts=2",
        "optim_wrapper.loss_scale=512.0", "optim_wrapper.dtype=bfloat16",
        "optim_wrapper.clip_grad.max_norm=1.0", "param_scheduler.0.start_factor=0.1",
        "param_scheduler.0.convert_to_iter_based=True", "custom_hooks.0.momentum=0.1",
        "custom_hooks.0.priority=LOW", "default_hooks.checkpoint.save_best=auto",
        "default_hooks.average.momentum=0.1", "default_hooks.average=None",
        "optim_wrapper.paramwise_cfg.custom_keys.norm.decay_mult=0.5",
        "optim_wrapper.constructor=DefaultOptimWrapperConstructor",
        # entries that MMEngine's runner reads
        "randomness.seed=3", "env_cfg.cudnn_benchmark=True", "env_cfg.dist_cfg.timeout=60",
        "env_cfg.mp_cfg.opencv_num_threads=1", "load_from=a.pth", "log_level=ERROR",
        "log_processor.window_size=3", "auto_scale_lr.base_batch_size=8", "sync_bn=torch",
        "find_unused_parameters=True", "experiment_name=a", "val_cfg.fp16=True",
        "train_dataloader.persistent_workers=False", "val_dataloader.batch_size=3",
        # names of dicts whose reader is unknown
        "model.test_cfg.stride=16", "train_dataloader.dataset.data_prefix.seg_map_path=b",
    ],
)  # fmt: skip
def test_an_option_that_something_reads_is_applied(option):
    (path, value), = parse(option).items()  # fmt: skip
    assert at(changed(option), path) == value


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("default_hooks.checkpoint.intervall=1", "mean default_hooks.checkpoint.interval?"),
        ("default_hooks.chekpoint.interval=1", "mean default_hooks.checkpoint?"),
        ("default_hooks.mine.interval=1", "needs default_hooks.mine.type"),
        ("default_hooks.averag.momentum=1", "did you mean default_hooks.average?"),
        ("default_hooks.average.momentm=1", "did you mean default_hooks.average.momentum?"),
        ("optim_wraper.optimizer.lr=1", "did you mean optim_wrapper?"),
        ("optim_wrapper.optimiser.lr=1", "did you mean optim_wrapper.optimizer?"),
        ("optim_wrapper.optimizer.learning_rate=1", "AdamW has no 'learning_rate'"),
        ("optim_wrapper.clip_grad.max_nrm=1", "did you mean optim_wrapper.clip_grad.max_norm?"),
        ("optim_wrapper.paramwise_cfg.layer_decay=1", "mean optim_wrapper.paramwise_cfg.layer_d"),
        ("model.backbone.drop_path_rat=0.2", "did you mean model.backbone.drop_path_rate?"),
        ("model.backbone.nonsense=1", "MaskedSwin has no 'nonsense'; it has arch, "),
        ("model.backbone.init_cfg.chekpoint=a", "did you mean model.backbone.init_cfg.checkpo"),
        ("model.bakbone.arch=a", "did you mean model.backbone?"),
        ("model.test_cfg.modes=a", "did you mean model.test_cfg.mode?"),
        ("train_dataloader.batchsize=3", "did you mean train_dataloader.batch_size?"),
        ("train_dataloader.sampler.shufle=True", "did you mean train_dataloader.sampler.shuffle?"),
        ("train_dataloader.dataset.pipeline.0.keys=1", "PackInputs has no 'keys'"),
        ("train_dataloaders.batch_size=3", "did you mean train_dataloader?"),
        ("randomness.sed=1", "did you mean randomness.seed?"),
        ("env_cfg.mp_cfg.opencv_threads=1", "mean env_cfg.mp_cfg.opencv_num_threads?"),
        ("auto_scale_lr.enabled=True", "did you mean auto_scale_lr.enable?"),
        ("train_cfg.max_iters=3", "EpochBasedTrainLoop has no 'max_iters'; did you mean"),
        ("custom_hooks.0.momentm=0.1", "did you mean custom_hooks.0.momentum?"),
        ("nonsense=1", "the config has no 'nonsense'; it has "),
        ("text=1", "the config has no 'text'"),
        ("custom_imports.imports=[a]", "write custom_imports in the file"),
        ("model..arch=tiny", "a name between the dots is missing"),
    ],
)
def test_an_option_that_nothing_reads_is_refused(option, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        changed(option)
    assert str(error.value).startswith(f"'{option.split('.')[0].split('=')[0]}")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("custom_hooks.9.interval=1", "has no entry '9'; its entries: 0 to 1"),
        ("custom_hooks.-1.interval=1", "has no entry '-1'"),
        ("param_scheduler.end.0=1", "'param_scheduler' is a list and has no entry 'end'"),
        ("train_dataloader.dataset.pipeline.2.scale=1", "has no entry '2'; its entries: 0 to 0"),
        ("optim_wrapper.optimizer.betas.0=1", "give the whole list"),
        ("model.backbone.window_size.0=14", "model.backbone.window_size='[...]'"),
        ("custom_hooks.0._delete_=True", "cannot be replaced"),
        ("optim_wrapper.optimizer.lr.x=1", "is 0.001, which has no entries"),
        ("model.backbone.arch.depths=1", "give model.backbone.arch._delete_=True too"),
        ("own=1 own.entry=1", "'own' is given as well"),
        ("own.entry=1 own=1", "entries of it are given as well"),
    ],
)
def test_a_path_that_cannot_be_followed_is_refused(option, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        changed(option)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("default_hooks.checkpoint.interval=abc", "'abc' is not an integer"),
        ("default_hooks.checkpoint.by_epoch=no", "'no' is not True or False"),
        ("train_cfg.max_epochs=1.5", "1.5 is not an integer"),
        ("train_dataloader.batch_size=many", "'many' is not an integer"),
        ("train_dataloader.drop_last=yes", "'yes' is not True or False"),
        ("train_dataloader=3", "3 is not a dict"),
        ("optim_wrapper.optimizer=AdamW", "'AdamW' is not a dict"),
        ("model.backbone.drop_path_rate=high", "'high' is not a number"),
        ("resume=last.pth", "'last.pth' is not True or False"),
        ("param_scheduler.0.end=late", "'late' is not an integer"),
    ],
)
def test_a_value_of_another_kind_is_refused(option, expected):
    with pytest.raises(ValueError, match="which is expected here") as error:
        changed(option)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    ("option", "copies"),
    [
        ("train_pipeline.0.input_key=b", "train_dataloader.dataset.pipeline: change that"),
        ("size=(1,2)", "model.test_cfg.scale: change that"),
        ("own.size=5", "train_cfg.max_epochs: change that"),
        ("own.entry=2", "used while the file was read: change the entries that were made from it"),
        ("own.flag=False", "used while the file was read"),
        ("own.new=2", "used while the file was read"),
        ("lr=1.0", "used while the file was read"),
        ("own=None", "used while the file was read"),
    ],
)
def test_a_variable_is_refused_with_its_copies(option, copies):
    with pytest.raises(ValueError, match="nothing reads") as error:
        changed(option)
    assert copies in str(error.value)


def test_a_refused_option_leaves_the_config_unchanged():
    cfg = Config(copy.deepcopy(PLAIN))
    with pytest.raises(ValueError, match="intervall"):
        merge_options(cfg, {"work_dir": "y", "default_hooks.checkpoint.intervall": 1})
    assert cfg._cfg_dict == Config(PLAIN)._cfg_dict


def test_a_replacing_dict_must_use_its_own_types_names():
    replaced = "model.backbone._delete_=True model.backbone.type=mim_plugins.MaskedPVT"
    cfg = changed(f"{replaced} model.backbone.arch=small")
    assert cfg.model.backbone == dict(type="mim_plugins.MaskedPVT", arch="small")
    with pytest.raises(ValueError, match="MaskedPVT has no 'window_size'"):
        changed(f"{replaced} model.backbone.window_size=3")


@pytest.mark.parametrize("before", [{}, dict(init_cfg=None)])
def test_a_checkpoint_can_be_set_without_an_init_cfg(before):
    cfg = Config(dict(PLAIN, model=dict(backbone=dict(type="mim_plugins.MaskedSwin", **before))))
    merge_options(cfg, {"model.backbone.init_cfg.checkpoint": "a.pth"})
    assert cfg.model.backbone.init_cfg == dict(type="Pretrained", checkpoint="a.pth")


def test_mmengines_defaults_change_without_their_types():
    cfg = Config(dict(model=dict(type="A")))
    options = "default_hooks.logger.interval=5 visualizer.vis_backends=[] visualizer.name=a"
    merge_options(cfg, parse(options))
    assert cfg.default_hooks.logger == dict(type="LoggerHook", interval=5)
    assert cfg.visualizer.type == "Visualizer"


def test_nested_dicts_are_checked_at_every_level():
    head = dict(backbone=dict(arch="small", drop_path_rate=0.3), test_cfg=dict(mode="slide"))
    given = copy.deepcopy(head)
    cfg = changed({"model": given, "optim_wrapper.optimizer": dict(lr=1.0)})
    assert cfg.model.backbone == PLAIN["model"]["backbone"] | head["backbone"]
    assert cfg.optim_wrapper.optimizer.lr == 1.0
    assert given == head
    with pytest.raises(ValueError, match=r"mean model\.backbone\.drop_path_rate"):
        changed({"model": dict(backbone=dict(drop_path_rat=0.3))})


def test_options_of_a_classifier_are_checked():
    cfg = read_config("mixmae/swin_b_finetune_100e")
    merge_options(cfg, parse("model.head.topk=[1,5] model.backbone.init_cfg=None"))
    assert cfg.model.head.topk == [1, 5]
    for option, message in {
        "model.head.num_class=10": r"mean model\.head\.num_classes",
        "data_preprocessor.num_class=10": r"mean data_preprocessor\.num_classes",
        "model.train_cfg.augments.0.alfa=1": r"mean model\.train_cfg\.augments\.0\.alpha",
        "val_evaluator.topkk=1": r"mean val_evaluator\.topk",
    }.items():
        with pytest.raises(ValueError, match=message):
            merge_options(cfg, parse(option))

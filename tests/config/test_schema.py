import re

import pytest
from mmengine.hooks import EMAHook

from mim_plugins.apis import read_config
from mim_plugins.config import arguments_at
from mim_plugins.config.schema import entry_problem, is_read_at_top, unknown_name
from mim_plugins.config.values import UNKNOWN, kind_mismatch

RECIPES = [
    "mixmae/swin_b_600e_knn",
    "mixmae/swin_b_finetune_100e",
    "mixmae/swin_b_linear_probe_90e",
    "mrmae/vit_b_focused_fusion_400e",
    "mixmae/swin_h_600e_zero",
    "mixmae/swin_h_600e_fsdp2",
]


def dicts(node, path=()):
    """Yield every dict of a config with its path."""
    if isinstance(node, dict):
        yield path, node
        for key in node:
            yield from dicts(dict.get(node, key), (*path, str(key)))
    elif isinstance(node, (list, tuple)):
        for index, part in enumerate(node):
            yield from dicts(part, (*path, str(index)))


@pytest.mark.parametrize("name", RECIPES)
def test_every_entry_of_a_recipe_is_a_valid_option(name):
    cfg, compared = read_config(name), 0
    for path, node in dicts(cfg._cfg_dict):
        arguments = arguments_at(path, node, cfg.default_scope)
        if arguments is None or not path or not is_read_at_top(path[0]):
            continue
        for key in set(node) - {"type"}:
            compared += 1
            assert unknown_name(path, key, arguments) is None
            annotation = arguments.names.get(key, UNKNOWN)
            assert kind_mismatch(dict.get(node, key), annotation=annotation) is None
    assert compared > 60


@pytest.mark.parametrize(
    ("path", "node", "has", "has_not"),
    [
        (("train_dataloader",), {}, "num_batch_per_epoch", "batchsize"),
        (("model", "mimics", "x"), dict(target_generator={}), "fusion_layers", "fusion_layer"),
        (("train_cfg",), dict(by_epoch=True), "max_epochs", "max_iters"),
        (("train_cfg",), dict(by_epoch=False), "max_iters", "max_epochs"),
        (("val_cfg",), {}, "fp16", "max_epochs"),
        (("optim_wrapper",), {}, "constructor", "lr"),
        (("optim_wrapper", "clip_grad"), {}, "max_norm", "clip_value"),
        (("optim_wrapper", "clip_grad"), dict(type="value"), "clip_value", "max_norm"),
        (("randomness",), {}, "diff_rank_seed", "sed"),
        (("env_cfg", "mp_cfg"), {}, "mp_start_method", "backend"),
        (("default_hooks", "timer"), {}, "priority", "interval"),
        (("param_scheduler", "0"), dict(type="LinearLR"), "convert_to_iter_based", "warmup"),
        (("model", "norm_cfg"), dict(type="SyncBN"), "requires_grad", "grad"),
        (
            ("model", "train_cfg", "augments", "0"), dict(type="mmpretrain.Mixup"),
            "alpha", "alfa",
        ),
        ((), {}, "load_from", "cfg"),
    ],
)  # fmt: skip
def test_valid_names_depend_on_the_place(path, node, has, has_not):
    names = arguments_at(path, node, "mim_plugins").names
    assert has in names
    assert has_not not in names


def test_a_dict_with_an_unknown_reader_has_no_arguments():
    assert arguments_at(("model", "test_cfg"), dict(mode="whole"), "mmseg") is None
    assert arguments_at(("model", "backbone"), dict(type="Nothing"), "mim_plugins") is None


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        (dict(type="CheckpointHook", interval=1, max_keep_ckpts=2), None),
        (dict(type="CheckpointHook", intervall=1), r"no 'intervall'; did you mean .*\.interval\?"),
        (dict(type="mmengine.CheckpointHook", every=1), "no 'every'; it has backend_args, by"),
        (dict(type="LoggerHook", intervals=1), "did you mean"),
        (dict(type="KNNHook", intervall=1), "did you mean"),
        (dict(type=EMAHook, momentum=0.1, update_buffers=True, priority="LOW"), None),
        (dict(type="EMAHook", momentm=0.1), "did you mean custom_hooks.0.momentum"),
        (
            dict(type="EMAHook", ema_type="MomentumAnnealingEMA", gama=1),
            "did you mean custom_hooks.0.gamma",
        ),
        (dict(type="NoHook", anything=1), None),
        (None, None),
    ],
)
def test_names_in_a_hook_are_compared_with_its_arguments(hook, problem):
    found = entry_problem(("custom_hooks", "0"), hook, "mim_plugins")
    if problem is None:
        assert found is None
    else:
        assert re.search(problem, found)


def test_adapting_weights_to_channels_is_an_option_of_init_cfg():
    path = ("model", "backbone", "init_cfg")
    for value in (True, [2, 1, 0, None]):
        node = dict(type="Pretrained", checkpoint="x.pth", inflate=value)
        assert entry_problem(path, node, "mmpretrain") is None
        annotation = arguments_at(path, node, "mmpretrain").names["inflate"]
        assert kind_mismatch(value, annotation=annotation) is None
    problem = entry_problem(path, dict(type="Pretrained", inflat=True), "mmpretrain")
    assert "did you mean model.backbone.init_cfg.inflate?" in problem

import re

import pytest
from mmengine.config import Config
from torch import nn

from mim_plugins.checks.paramwise_check import check_custom_keys
from mim_plugins.errors import ConfigError

MODEL = nn.ModuleDict(
    dict(
        backbone=nn.ModuleDict(dict(norm=nn.LayerNorm(2))),
        stages=nn.ModuleDict(
            {"3": nn.ModuleDict({"downsample": nn.ModuleDict({"norm": nn.LayerNorm(2)})})}
        ),
        head=nn.Linear(2, 2),
    )
)


def check(keys, optimizer="AdamW", **settings):
    wrapper = dict(optimizer=dict(type=optimizer), paramwise_cfg=dict(custom_keys=keys), **settings)
    return check_custom_keys(Config(dict(optim_wrapper=wrapper)), MODEL)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (dict(backbone=0.1), r"must be a dict, such as dict\(lr_mult=0.1\)"),
        (dict(backbone=None), "must be a dict"),
        ([dict(lr_mult=0.1)], "must be a dict of dicts"),
    ],
)
def test_entries_other_than_dicts_are_refused(keys, told):
    with pytest.raises(ConfigError, match=told):
        check(keys)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (dict(bakbone=dict(lr_mult=0.1)), "did you mean 'backbone'"),
        ({"backbone.nrm": dict(lr_mult=0.1)}, "did you mean 'backbone.norm'"),
        ({"backbon.": dict(lr_mult=0.1)}, "did you mean 'backbone'"),
        (dict(head=dict(lr_mul=0.1)), "has 'lr_mul', which is neither a factor"),
        (dict(head=dict(lr=1.0, nesterov=True)), "has 'nesterov'"),
    ],
)
def test_an_entry_without_effect_is_a_warning(keys, told):
    (warning,) = check(keys)
    assert re.search(told, warning)


@pytest.mark.parametrize(
    ("keys", "settings"),
    [
        ({".norm": dict(decay_mult=0.0), "head.weight": dict(lr_mult=2, weight_decay=0.1)}, {}),
        # a base config may list parameters of another backbone
        (dict(relative_position_bias_table=dict(decay_mult=0.0), cls_token=dict(lr_mult=1)), {}),
        ({"stages.0.downsample.norm": dict(decay_mult=0.0)}, {}),
        (dict(head=dict(anything=1)), dict(constructor="mine.Constructor")),
        (dict(head=dict(anything=1)), dict(optimizer="Unknown")),
        ({}, {}),
        (None, {}),
    ],
)
def test_what_may_have_an_effect_passes(keys, settings):
    assert check(keys, **settings) == []

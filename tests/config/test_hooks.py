from mmengine.config import Config

from mim_plugins.config import hook_configs


def test_hooks_of_both_kinds_are_found_with_their_fields():
    named, first, second = dict(type="A"), dict(type="B"), dict(type="C")
    cfg = Config(dict(default_hooks=dict(knn=named, timer=None), custom_hooks=[first, second]))
    assert hook_configs(cfg) == {
        "default_hooks.knn": named,
        "default_hooks.timer": None,
        "custom_hooks.0": first,
        "custom_hooks.1": second,
    }


def test_changes_of_a_hook_reach_the_config():
    cfg = Config(dict(custom_hooks=[dict(type="A")]))
    hook_configs(cfg)["custom_hooks.0"]["type"] = "B"
    assert cfg.custom_hooks[0].type == "B"


def test_a_config_without_hooks_has_none():
    assert hook_configs(Config(dict(default_hooks=None))) == {}

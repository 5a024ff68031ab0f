import argparse

import pytest
from mmengine.config import DictAction

from mim_plugins.cli.config_options import add_config_options, parse_value


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    return parser


def test_option_values_are_parsed_as_in_mmengine(parser):
    options = ["--cfg-options", "a.b=1", "c=[x,2]", "d=", "e=f=g"]
    assert parser.parse_args(options).cfg_options == {
        "a.b": 1, "c": ["x", 2], "d": "", "e": "f=g",
    }  # fmt: skip
    assert parser.parse_args([]).cfg_options == {}


def test_invalid_option_is_a_usage_error(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["--cfg-options", "a=1", "max_epochs"])
    assert "--cfg-options: 'max_epochs' is not key=value" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("runs of today", "runs of today"),
        (" 2 ", 2),
        ("1, x y ,None", [1, "x y", None]),
        ("[ (1, 2), [a b, c], 3.5 ]", [(1, 2), ["a b", "c"], 3.5]),
        ("(1,2),(3,4)", [(1, 2), (3, 4)]),
        ("(1,)", (1,)),
        ("1,", [1]),
        ("[]", []),
        ("[1, 2, ]", [1, 2]),
        ("( )", ()),
        ("' [1,2]'", [1, 2]),
        ("{a}/x/{b}", "{a}/x/{b}"),
        ("run (1,2) b", "run (1,2) b"),
        ("epoch_{}.pth", "epoch_{}.pth"),
        ("a)", "a)"),
        ("'[a, b]'", ["a", "b"]),
    ],
)
def test_blanks_are_kept_within_texts_only(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize("text", ["1", "1,2,3", "[1,2]", "((1,2),(3,4))", "[(1,x),[],y]", "True"])
def test_other_values_are_those_of_mmengine(text):
    assert parse_value(text) == DictAction._parse_iterable(text)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("work_dir=20241130", "20241130"),
        ("work_dir=2024_11_30", "2024_11_30"),
        ("work_dir=nan", "nan"),
        ("load_from=/d/run (1,2.pth", "/d/run (1,2.pth"),
        ("load_from=None", None),
        ("model.backbone.use_checkpoint=True", True),
        ("model.backbone.use_checkpoint=0", 0),
        ("init_cfg.checkpoint=1", "1"),
        ("model.backbone.drop_path=0.1", 0.1),
        ("train_dataloader.dataset.ann_file=[~/a b,7]", ["/home/me/a b", "7"]),
        ("train_dataloader.dataset.data_prefix.img_path=1", "1"),
        ("default_hooks.checkpoint.out_dir=~/out", "/home/me/out"),
        ("default_hooks.checkpoint.filename_tmpl=~", "~"),
    ],
)
def test_paths_are_texts_in_the_home_folder(parser, monkeypatch, option, value):
    monkeypatch.setenv("HOME", "/home/me")
    assert parser.parse_args(["--cfg-options", option]).cfg_options == {
        option.partition("=")[0]: value
    }


@pytest.mark.parametrize("value", ["[14,14,7", "[14", "(1,2]", "1),(2", "[1,(2]", "[(1],2)"])
def test_unbalanced_brackets_are_a_usage_error(parser, capsys, value):
    with pytest.raises(SystemExit):
        parser.parse_args(["--cfg-options", f"window_size={value}"])
    assert f"--cfg-options: 'window_size={value}' has unbalanced" in capsys.readouterr().err


@pytest.mark.parametrize(
    "value", ["dict(depths=(1,2),heads=(1,2))", "{'a':1,'b':(1,2)}", "[dict(a=1),{}]"]
)
def test_dict_is_a_usage_error(parser, capsys, value):
    with pytest.raises(SystemExit):
        parser.parse_args(["--cfg-options", f"model.backbone.arch={value}"])
    assert "in a config file with _base_" in capsys.readouterr().err

import copy

import pytest
from mmengine.config import Config

from mim_plugins import CONFIG_DIR, list_models
from mim_plugins.apis import find_config, override_config, read_config
from mim_plugins.errors import ConfigError


def test_names_are_paths_of_the_configs():
    names = list_models()
    assert "mixmae/swin_b_600e" in names
    assert names == sorted(names)
    assert not any("_base_" in name or name.endswith(".py") for name in names)
    assert all((CONFIG_DIR / f"{name}.py").is_file() for name in names)


def test_a_pattern_selects_names():
    names = list_models("mrmae/vit_b_*")
    assert "mrmae/vit_b_400e" in names
    assert all(name.startswith("mrmae/vit_b_") for name in names)
    assert list_models("nothing*") == []


@pytest.mark.parametrize("name", ["mixmae/swin_b_600e", "swin_b_600e", "mixmae/swin_b_600e.py"])
def test_a_full_or_short_name_finds_its_config(name):
    assert find_config(name) == CONFIG_DIR / "mixmae/swin_b_600e.py"
    assert Config.fromfile(find_config(name)).model.type == "mim_plugins.MixMAE"


def test_every_full_name_finds_its_own_config():
    for name in list_models():
        assert find_config(name) == CONFIG_DIR / f"{name}.py"


def test_a_path_is_used_unchanged(tmp_path):
    (tmp_path / "swin_b_600e.py").write_text("")
    assert find_config(tmp_path / "swin_b_600e.py") == tmp_path / "swin_b_600e.py"


def test_an_unknown_name_lists_similar_ones():
    with pytest.raises(FileNotFoundError, match=r"mixmae/swim_b_600e.*mixmae/swin_b_600e"):
        find_config("mixmae/swim_b_600e")


def test_an_ambiguous_name_lists_its_configs(tmp_path, monkeypatch):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text("")
    monkeypatch.setattr("mim_plugins.apis.model_zoo.CONFIG_DIR", tmp_path)
    with pytest.raises(ValueError, match="a/same, b/same"):
        find_config("same")
    assert find_config("b/same") == tmp_path / "b/same.py"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model = dict(\n", r"line 1: '\(' was never closed"),
        ("x = undefined\n", "NameError: name 'undefined' is not defined"),
        ("_base_ = ['{}/swin_b_600e.py', '{}/swin_l_600e.py']\n", "KeyError: Duplicate key"),
    ],
)
def test_an_invalid_config_is_named_with_the_reason(tmp_path, text, reason):
    (tmp_path / "bad.py").write_text(text.replace("{}", str(CONFIG_DIR / "mixmae")))
    with pytest.raises(ConfigError, match=rf"config '.*bad\.py': {reason}"):
        read_config(tmp_path / "bad.py")


def test_a_missing_base_config_raises_file_not_found(tmp_path):
    (tmp_path / "a.py").write_text("_base_ = 'none.py'\n")
    with pytest.raises(FileNotFoundError, match=r"none\.py"):
        read_config(tmp_path / "a.py")


def test_options_change_a_config_or_are_refused():
    cfg = read_config("mixmae/swin_b_600e")
    override_config(cfg, {"model.backbone.img_size": 192})
    assert cfg.model.backbone.img_size == 192
    override_config(cfg, None)
    before = cfg.pretty_text
    for option, message in {
        "param_scheduler.9.end": r"is a list and has no entry '9'.*swin_b_600e\.py",
        "optim_wraper.optimizer.lr": r"did you mean optim_wrapper\?",
    }.items():
        with pytest.raises(ConfigError, match=f"^option '{option.split('.')[0]}.*{message}"):
            override_config(cfg, {option: 1})
    assert cfg.pretty_text == before


def test_other_files_than_configs_are_refused(tmp_path):
    (tmp_path / "encoder.safetensors").touch()
    with pytest.raises(ConfigError, match=r"is no config, which ends in one of \.py"):
        read_config(tmp_path / "encoder.safetensors")


def test_text_of_a_config_is_made_without_yapf(monkeypatch):
    """MMEngine reports Ctrl-C in yapf as a syntax error with the whole text."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmengine.config.config.FormatCode", interrupt)
    cfg = read_config("mixmae/swin_b_600e")
    assert copy.deepcopy(cfg).pretty_text

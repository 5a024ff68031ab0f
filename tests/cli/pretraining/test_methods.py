"""Names of methods, encoders and teachers."""

import pytest

from mim_plugins.apis import find_config
from mim_plugins.backbones import MaskedConvViT, MaskedPVT, MaskedSwin, MaskedViT
from mim_plugins.cli.pretraining import methods
from mim_plugins.errors import ConfigError

CLASSES = dict(swin=MaskedSwin, pvt=MaskedPVT, vit=MaskedViT, mcmae=MaskedConvViT)


@pytest.mark.parametrize("family", methods.FAMILIES)
def test_every_size_is_one_of_the_encoder(family):
    names = [methods.size_name(f"{family}-{size}") for size in methods.FAMILIES[family].sizes]
    assert sorted(names) == sorted(CLASSES[family].arch_settings)


@pytest.mark.parametrize("method", methods.METHODS)
def test_every_encoder_has_a_recipe(method):
    for arch in methods.arch_names(method):
        for teacher in (None, "dino"):
            assert find_config(methods.base_config(method, arch, teacher)).is_file()


def test_names_ignore_case_and_underscores():
    names = methods.arch_names("mixmae")
    assert methods.choose_name("arch", "Swin_T", names) == "swin-t"


def test_wrong_names_are_errors_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"method 'mixmea' .* did you mean mixmae"):
        methods.choose_name("method", "mixmea", methods.METHODS)
    with pytest.raises(ConfigError, match=r"arch 'vit' .* did you mean vit-"):
        methods.choose_name("arch", "vit", methods.arch_names("mae"))


def test_teachers_belong_to_the_method(monkeypatch):
    monkeypatch.setattr(methods, "find_spec", lambda name: object())
    assert methods.choose_teacher("mixmae", None) is None
    assert methods.choose_teacher("mrmae", None) == "clip"
    assert methods.choose_teacher("mixmae", "dino") == "dino"
    with pytest.raises(ConfigError, match="MAE has no teacher; use --method mrmae"):
        methods.choose_teacher("mae", "clip")


def test_missing_package_of_a_teacher_is_an_error(monkeypatch):
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"open_clip: pip install 'mim_plugins\[targets\]'"):
        methods.choose_teacher("mrmae", None)


def test_unknown_teacher_is_an_error_with_the_nearest_one():
    timm = pytest.importorskip("timm")
    assert methods.choose_teacher("mrmae", "vit_tiny_patch16_224") == "vit_tiny_patch16_224"
    assert "vit_tiny_patch16_224" in timm.list_models()
    with pytest.raises(ConfigError, match=r"teacher 'dyno' .* did you mean dino"):
        methods.choose_teacher("mrmae", "dyno")

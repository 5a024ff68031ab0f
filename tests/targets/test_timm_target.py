"""TimmTarget as configs build it: names, weights, constants and errors."""

import dataclasses
import time
import warnings

import pytest
import torch
from faulty_server import head
from mmengine.registry import MODELS

from mim_plugins.errors import CheckpointError, ConfigError
from mim_plugins.targets import TimmTarget
from mim_plugins.targets.timm_target import _build, _with_trained_activation

TINY = "test_vit.r160_in1k"  # 64 channels, 6 blocks, 160 pixels, [CLS] token


@pytest.fixture
def trained(timm):
    """Return a tiny model of timm with other weights than its initialization."""
    torch.manual_seed(7)
    return timm.create_model(TINY).eval()


@pytest.fixture
def weights(trained, tmp_path):
    path = tmp_path / "model.pth"
    torch.save(trained.state_dict(), path)
    return str(path)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_is_loaded_and_gives_the_librarys_features(timm, trained, tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    if suffix == "pth":
        torch.save(dict(state_dict=trained.state_dict()), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(trained.state_dict(), path)
    target = MODELS.build(
        dict(type="mim_plugins.TimmTarget", model_name=TINY, pretrained=str(path))
    )
    pixels = torch.rand(2, 3, 160, 160)
    constants = timm.get_pretrained_cfg(TINY)
    mean, std = torch.tensor([constants.mean, constants.std]).view(2, 1, 3, 1, 1)
    with torch.no_grad():
        expected = trained.forward_features((pixels - mean) / std)[:, 1:]

    output = target(pixels, (10, 10), with_attention=True)
    assert torch.allclose(output.features, expected, atol=1e-5)
    assert output.features.shape == (2, 100, target.out_channels)
    assert torch.allclose(output.attention.sum(dim=1), torch.ones(2))
    assert target._towers[10, 10].trunk.pretrained_cfg["state_dict"] is None


@pytest.mark.parametrize(
    "name",
    ["vit_small_patch16_224.dino", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", TINY],
)
def test_normalization_is_that_of_the_tag(timm, name):
    with pytest.warns(UserWarning, match="random"):
        target = TimmTarget(name, pretrained=None)
    config = timm.get_pretrained_cfg(name)
    assert (target.mean, target.std) == (config.mean, config.std)


@pytest.mark.parametrize(("features", "blocks"), [("norm", 6), (2, 3), (-6, 1)])
def test_only_the_blocks_needed_are_kept(weights, features, blocks):
    target = TimmTarget(TINY, weights, features)
    assert len(target._towers[10, 10].trunk.blocks) == blocks


def test_a_teacher_may_have_another_patch_size(timm):
    with pytest.warns(UserWarning, match="random"):
        target = TimmTarget("vit_small_patch14_reg4_dinov2", pretrained=None, features=1)
    output = target(torch.rand(1, 3, 224, 224), (14, 14), with_attention=True)
    assert target.patch_size == 14
    assert output.features.shape == (1, 196, 384)
    assert output.attention.shape == (1, 196)
    assert target._towers[14, 14].trunk.patch_embed.img_size == (196, 196)


def test_attention_without_cls_token_is_refused_before_running(timm):
    with pytest.warns(UserWarning, match="random"):
        target = TimmTarget("test_vit3", pretrained=None)
    assert not target.has_cls_attention
    with pytest.raises(ValueError, match=r"\[CLS\] token cannot be read"):
        target(torch.rand(1, 3, 160, 160), (10, 10), with_attention=True)


def test_without_network_one_error_names_tag_file_and_option(timm, unreachable_hub, tmp_path):
    start = time.monotonic()
    with pytest.raises(FileNotFoundError) as raised:
        TimmTarget(TINY, cache_dir=str(tmp_path))
    message = str(raised.value)

    assert time.monotonic() - start < 5
    assert message.startswith(f"the weights '{TINY}' cannot be")
    assert message.endswith(
        f"get 'timm/{TINY}/model.safetensors' of the hub where there is a network, and set"
        " pretrained='/path/to/model.safetensors'"
    )
    assert raised.value.__suppress_context__


def test_unknown_names_and_tags_are_refused_with_those_there_are(timm):
    with pytest.raises(
        ValueError, match=r"timm [\d.]+ has no model .* instance .*vit_base_patch16"
    ):
        TimmTarget("vit_base_patch16_225")
    with pytest.raises(ValueError, match=rf"has no such tag; it has {TINY}"):
        TimmTarget("test_vit.dino")
    with pytest.raises(ValueError, match=r"'test_vit4': no weights are published"):
        TimmTarget("test_vit4")


def is_quick(timm, name):
    """Return whether timm's remarks on the weights mention QuickGELU."""
    return any("QuickGELU" in note for note in timm.get_pretrained_cfg(name).notes or ())


def test_weights_without_their_activation_are_refused(timm):
    with pytest.raises(ConfigError, match=r"trained with QuickGELU.*pretrained='dfn2b'"):
        _build(timm, "vit_base_patch16_clip_224.dfn2b", pretrained=None, cache_dir=None)


def test_clip_weights_have_the_activation_of_their_training(timm):
    names = timm.list_models("*_clip_*", pretrained=True)
    named = {name: _with_trained_activation(timm, name) for name in names}
    assert {name for name in names if "quickgelu" in named[name]} == {
        name for name in names if is_quick(timm, name)
    }
    for name, used in named.items():
        assert used.replace("_quickgelu", "") == name.replace("_quickgelu", "")
    default = _with_trained_activation(timm, "vit_huge_patch14_clip_378")
    assert default == "vit_huge_patch14_clip_quickgelu_378.dfn5b"


@pytest.mark.filterwarnings("ignore:.*random")
@pytest.mark.parametrize(
    ("tag", "activation"),
    [("openai", "QuickGELU"), ("laion400m_e32", "QuickGELU"), ("laion2b", "GELU")],
)
def test_the_tower_has_the_activation_of_the_tag(timm, tag, activation):
    with torch.device("meta"):
        trunk = _build(timm, f"vit_base_patch32_clip_224.{tag}", pretrained=None, cache_dir=None)
    assert type(trunk.blocks[0].mlp.act).__name__ == activation


@pytest.mark.parametrize(
    ("arch", "first", "last"),
    [
        ("vit_huge_patch14_224", "mae", "orig_in21k"),
        ("vit_large_patch16_dinov3", "lvd1689m", "sat493m"),
        ("vit_base_patch16_clip_224", "datacompxl", "openai_ft_in12k_in1k"),
        ("mobilenetv4_conv_small", "e1200_r224_in1k", "e3600_r256_in1k"),
    ],
)
def test_a_file_needs_a_tag_if_the_tags_differ(weights, arch, first, last):
    tags = rf"{arch}\.{first}, .*{arch}\.{last}$"
    with pytest.raises(
        ConfigError, match=rf"weights of {arch} differ .* model_name .* one of {tags}"
    ):
        TimmTarget(arch, weights)


def test_a_file_with_tag_is_loaded_even_if_tags_differ(weights):
    with pytest.raises(ValueError, match="cannot be loaded into 'mobilenetv4_conv_small"):
        TimmTarget("mobilenetv4_conv_small.e1200_r224_in1k", weights)


def test_a_missing_file_and_one_of_another_model_are_refused(weights):
    with pytest.raises(FileNotFoundError, match=r"'/no\.pth': there is no such file; .* True for"):
        TimmTarget(TINY, "/no.pth")
    with pytest.raises(ValueError, match=r"cannot be loaded into 'vit_tiny_.*Missing key.*blocks"):
        TimmTarget("vit_tiny_patch16_224", weights)


def test_wrong_features_are_refused(timm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="features='projection'"):
            TimmTarget("test_vit", pretrained=None, features="projection")


def test_a_torchscript_archive_is_refused(trained, tmp_path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"TorchScript archive.*OpenCLIPTarget"):
        TimmTarget(TINY, str(tmp_path / "w.pt"))


def test_a_hub_that_stalls_or_trickles_ends_with_one_line(served, tmp_path):
    about = dict(ETag='"abc"', X_Repo_Commit="0" * 40, Content_Length=9999)
    trickle = served.trickles_after(head(**about), b"x" * 9999)
    for answers in ([served.stalls_after()], [served.sends(head(**about)), trickle]):
        served.answers[:] = answers
        served.requests.clear()
        begin = time.monotonic()
        with pytest.raises(FileNotFoundError, match=r"\(TimeoutError: the server sent \d+ bytes"):
            TimmTarget(TINY, cache_dir=str(tmp_path / "cache"))
        assert time.monotonic() - begin < 8


def test_weights_of_another_server_are_fetched_once(served, timm, trained, tmp_path, monkeypatch):
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    config = dataclasses.replace(
        timm.get_pretrained_cfg(TINY), hf_hub_id=None, url=f"{served.address}/a/w.pth"
    )
    monkeypatch.setattr("timm.models._builder.get_pretrained_cfg", lambda *_, **__: config)
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda *_, **__: config)
    served.answers[:] = [
        served.sends(head(Content_Length=len(content), ETag='"1"'), content[:99]),
        served.sends(head(Content_Length=len(content), ETag='"1"'), content),
        served.sends(head("500 Oops")),
    ]
    for _ in range(2):
        target = TimmTarget(TINY, cache_dir=str(tmp_path / "cache"))
        weight = target._towers[10, 10].trunk.patch_embed.proj.weight
        assert torch.equal(weight, trained.patch_embed.proj.weight)


@pytest.mark.filterwarnings("ignore:.*random")
def test_tokens_named_norm_are_normalized_or_refused(timm):
    name, pixels = "eva02_tiny_patch14_224", torch.rand(1, 3, 56, 56)
    with pytest.raises(ConfigError, match="normalize=True, or features=-1"):
        TimmTarget(name, pretrained=None)
    normalized = TimmTarget(name, pretrained=None, normalize=True)(pixels, (4, 4)).features
    assert torch.allclose(normalized.std(dim=-1), torch.ones(()), atol=0.01)
    last = TimmTarget(name, pretrained=None, features=-1)(pixels, (4, 4)).features
    expected = torch.nn.functional.layer_norm(last, last.shape[-1:])
    assert torch.allclose(normalized, expected, atol=1e-4)

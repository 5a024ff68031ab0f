"""OpenCLIPTarget as configs build it: names, tags, weights, constants and errors."""

import copy
import hashlib
import warnings

import pytest
import torch
from known_towers import IMAGENET
from mmengine.registry import MODELS
from torch import nn

from mim_plugins.errors import CheckpointError
from mim_plugins.targets import OpenCLIPTarget
from mim_plugins.targets.open_clip_target import _facts
from mim_plugins.targets.weights import reproducible_init


def random_target(*args, **kwargs):
    with pytest.warns(UserWarning, match="random network"):
        return OpenCLIPTarget(*args, pretrained=None, **kwargs)


def normalized(pixels, mean, std):
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@torch.no_grad()
def test_a_file_is_loaded_and_gives_the_librarys_features(trained, weights, tmp_path, suffix):
    if suffix == "safetensors":
        weights = str(tmp_path / "open_clip_model.safetensors")
        pytest.importorskip("safetensors.torch").save_file(trained.state_dict(), weights)
    config = dict(type="mim_plugins.OpenCLIPTarget", model_name="tiny-clip", pretrained=weights)
    target = MODELS.build(config)
    pixels = torch.rand(2, 3, 64, 64)
    visual = copy.deepcopy(trained.visual)
    visual.output_tokens = True
    tokens = visual(normalized(pixels, target.mean, target.std))[1]

    output = target(pixels, (4, 4), with_attention=True)
    assert torch.allclose(output.features, tokens @ visual.proj, atol=1e-5)
    assert output.features.shape == (2, 16, target.out_channels)
    assert torch.allclose(output.attention.sum(dim=1), torch.ones(2))


def test_a_tag_brings_weights_constants_and_activation(open_clip, tags, trained):
    def activation(target):
        return type(target._towers[4, 4].visual.transformer.resblocks[0].mlp.gelu).__name__

    plain, imagenet, quick = (
        OpenCLIPTarget("tiny-clip", tag) for tag in ("plain", "imagenet", "quick")
    )
    for target in (plain, imagenet, quick):
        weight = target._towers[4, 4].visual.conv1.weight
        assert torch.equal(weight, trained.visual.conv1.weight)
    assert (plain.mean, plain.std) == (tags["plain"]["mean"], tags["plain"]["std"])
    assert (imagenet.mean, imagenet.std) == (IMAGENET["mean"], IMAGENET["std"])
    assert activation(plain) == activation(imagenet) == "GELU"
    assert activation(quick) == "QuickGELU"


def test_a_file_without_a_tag_is_refused_where_tags_disagree(tags, weights):
    with pytest.raises(
        ValueError, match=r"set tag to that of the file, one of plain, imagenet, quick"
    ):
        OpenCLIPTarget("tiny-clip", weights)
    assert OpenCLIPTarget("tiny-clip", weights, tag="imagenet").mean == IMAGENET["mean"]


def test_a_file_gets_the_constants_on_which_all_tags_agree(tags, weights):
    for tag in ("plain", "quick", "hub", "link"):
        del tags[tag]
    assert OpenCLIPTarget("tiny-clip", weights).mean == IMAGENET["mean"]


@pytest.mark.parametrize(
    ("name", "tag"),
    [("ViT-B-16", "openai"), ("ViT-B-16-SigLIP", None), ("ViT-L-14", "laion2b_s32b_b82k")],
)
def test_published_tags_keep_their_own_constants(open_clip, name, tag):
    known = tag or open_clip.list_pretrained_tags_by_model(name)[0]
    expected = open_clip.get_pretrained_cfg(name, known)
    facts = _facts(open_clip, name, tag, path="/a/file")
    assert (facts["mean"], facts["std"]) == (expected["mean"], expected["std"])
    assert facts["quick_gelu"] == expected.get("quick_gelu", False)
    assert facts["quick_gelu"] == (tag == "openai")


def test_a_teacher_of_patch_14_on_a_student_of_patch_16(open_clip):
    target = random_target("tiny-clip-14", features="norm")
    output = target(torch.rand(1, 3, 224, 224), (14, 14), with_attention=True)
    assert target.patch_size == 14
    assert output.features.shape == (1, 196, 32)
    assert output.attention.shape == (1, 196)
    assert tuple(target._towers[14, 14].visual.positional_embedding.shape) == (197, 32)


@torch.no_grad()
def test_a_timm_trunk_with_token_pooling_projects_every_token(open_clip):
    target = random_target("tiny-trunk")
    with reproducible_init():
        visual = open_clip.create_model("tiny-trunk", pretrained_text=False).visual.eval()
    pixels = torch.rand(2, 3, 160, 160)
    images = normalized(pixels, target.mean, target.std)
    tokens = visual.head(visual.trunk.head(visual.trunk.forward_features(images)))
    output = target(pixels, (10, 10), with_attention=True)

    assert torch.allclose(visual(images), tokens[:, 0], atol=1e-5)
    assert torch.allclose(output.features, tokens[:, 1:], atol=1e-5)
    assert target.out_channels == 24
    assert output.attention.shape == (2, 100)


@torch.no_grad()
def test_a_siglip_trunk_has_a_norm_but_no_projection(open_clip):
    target = random_target("tiny-siglip", features="norm")
    with reproducible_init():
        visual = open_clip.create_model("tiny-siglip", pretrained_text=False).visual.eval()
    pixels = torch.rand(1, 3, 160, 160)
    expected = visual.trunk.forward_features(normalized(pixels, target.mean, target.std))

    prefix = visual.trunk.num_prefix_tokens
    assert torch.allclose(target(pixels, (10, 10)).features, expected[:, prefix:], atol=1e-5)
    assert not target.has_cls_attention
    with pytest.raises(ValueError, match="features='projection': this teacher offers 'norm' or"):
        random_target("tiny-siglip", features="projection")


def test_half_moves_the_teacher_and_it_still_runs(weights):
    pixels = torch.rand(1, 3, 64, 64)
    target = OpenCLIPTarget("tiny-clip", weights)
    exact = target(pixels, (3, 3), True)
    rounded = target.bfloat16()(pixels, (3, 3), True)
    assert torch.allclose(rounded.features, exact.features, atol=0.15)
    assert torch.allclose(rounded.attention, exact.attention, atol=1e-2)


def test_unknown_names_and_tags_are_refused_with_those_there_are(tags, tmp_path):
    with pytest.raises(ValueError, match=r"open_clip [\d.]+ has no such model; see .*ViT-B-16"):
        OpenCLIPTarget("ViT-B-17")
    with pytest.raises(FileNotFoundError, match=r"there is no such file.* tiny-clip \(plain, imag"):
        OpenCLIPTarget("tiny-clip", "openai")
    with pytest.raises(ValueError, match="tag='quick' contradicts pretrained='plain'"):
        OpenCLIPTarget("tiny-clip", "plain", tag="quick")
    assert OpenCLIPTarget("tiny-clip", "imagenet", tag="imagenet").mean == IMAGENET["mean"]
    with pytest.raises(ValueError, match="tag='openai': open_clip's tags of tiny-clip are plain"):
        OpenCLIPTarget("tiny-clip", str(tmp_path), tag="openai")


def test_a_file_of_another_width_is_refused(open_clip, weights):
    with pytest.raises(ValueError, match=r"cannot be loaded into 'tiny-clip-wide'.*size mismatch"):
        OpenCLIPTarget("tiny-clip-wide", weights)


def test_a_given_precision_equals_autocast(weights):
    pixels = torch.rand(2, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        followed = OpenCLIPTarget("tiny-clip", weights)(pixels, (4, 4), True)
    chosen = OpenCLIPTarget("tiny-clip", weights, dtype="bfloat16")(pixels, (4, 4), True)
    assert torch.equal(followed.features, chosen.features)
    assert chosen.features.dtype == chosen.attention.dtype == torch.float32


def test_wrong_features_are_refused(open_clip):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=r"features=3: .* from -3 to 2"):
            OpenCLIPTarget("tiny-clip", None, features=3)


class Archive(nn.Module):
    """Module with the state of a model, as in OpenAI's archives."""

    def __init__(self, state):
        super().__init__()
        for name, tensor in state.items():
            parts, module = name.split("."), self
            for part in parts[:-1]:
                if not hasattr(module, part):
                    module.add_module(part, Container())
                module = getattr(module, part)
            module.register_buffer(parts[-1], tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Container(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.fixture
def archive(open_clip, trained, tags, tmp_path):
    """Write a TorchScript archive of the tiny CLIP that open_clip accepts as OpenAI's."""
    path = tmp_path / "tiny.pt"
    torch.jit.save(torch.jit.script(Archive(trained.half().state_dict())), path)
    trained.float()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    url = f"https://somewhere/{digest}/tiny.pt"
    tags["openai"] = dict(tags["plain"], url=url, quick_gelu=True)
    return str(path)


def test_openais_archive_brings_weights_and_activation(archive, trained):
    target = OpenCLIPTarget("tiny-clip", archive)
    visual = target._towers[4, 4].visual
    assert torch.equal(visual.conv1.weight, trained.visual.conv1.weight.half().float())
    assert type(visual.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"
    assert OpenCLIPTarget("tiny-clip", archive, tag="openai").mean == target.mean
    with pytest.raises(ValueError, match=r"tag='plain' contradicts pretrained='.*tiny\.pt'"):
        OpenCLIPTarget("tiny-clip", archive, tag="plain")


def test_archives_of_others_are_refused(archive, tags, monkeypatch):
    del tags["openai"]
    with pytest.raises(
        CheckpointError, match=r"tiny\.pt' is a TorchScript archive.*none of OpenAI"
    ):
        OpenCLIPTarget("tiny-clip", archive)

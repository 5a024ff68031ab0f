"""Tiny teachers with random weights, built by the libraries themselves."""

import json
from types import SimpleNamespace

import pytest
import torch
from faulty_server import faulty_server
from known_towers import IMAGENET, MEAN, STD, PatchMeans

from mim_plugins.checkpoints import TIMEOUT_VARIABLE
from mim_plugins.targets import OpenCLIPTarget, TargetGenerator, TimmTarget

TINY = "test_vit.r160_in1k"  # of timm: 64 channels, 6 blocks, 160 pixels, [CLS] token

VISION = dict(image_size=64, patch_size=16, width=32, layers=3, head_width=8)
TEXT = dict(context_length=8, vocab_size=64, width=16, heads=2, layers=1)
TRUNKS = {
    "tiny-clip": VISION,
    "tiny-clip-14": VISION | dict(image_size=56, patch_size=14),
    "tiny-clip-wide": VISION | dict(width=48),
    "tiny-coca": VISION | dict(attentional_pool=True, attn_pooler_heads=2),
    "tiny-qk-norm": VISION | dict(qk_norm=True, no_ln_pre=True),
    "tiny-resnet": dict(image_size=64, layers=[1, 1, 1, 1], width=8),
    "tiny-siglip": dict(
        image_size=160, timm_model_name="test_vit3", timm_pool="map", timm_proj="none"
    ),
    "tiny-trunk": dict(image_size=160, timm_model_name="test_vit", timm_pool="token"),
}


@pytest.fixture(scope="session", autouse=True)
def _no_hub():
    """Give the hub's client an unused address, also in threads that outlive a test."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return
    constants.ENDPOINT = "http://127.0.0.1:9"
    constants.HUGGINGFACE_CO_URL_TEMPLATE = (
        constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
    )


@pytest.fixture(scope="session")
def open_clip(tmp_path_factory):
    """Return open_clip, extended by the tiny models above."""
    library = pytest.importorskip("open_clip")
    folder = tmp_path_factory.mktemp("open_clip")
    for name, vision in TRUNKS.items():
        config = dict(embed_dim=24, vision_cfg=vision, text_cfg=TEXT, custom_text=True)
        (folder / f"{name}.json").write_text(json.dumps(config))
    library.add_model_config(folder)
    return library


@pytest.fixture(scope="session")
def timm():
    return pytest.importorskip("timm")


@pytest.fixture
def unreachable_hub(monkeypatch):
    """Disable the network; the hub client is offline, so it repeats no request."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.fixture
def served(monkeypatch):
    """Replace the hub by a server, with a time limit of half a second."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.5")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with faulty_server() as server:
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield server


@pytest.fixture(scope="session", params=["open_clip", "timm"])
def teacher(request):
    """Return a library, its target class, and a tiny model with weights of a certain seed."""
    library = request.getfixturevalue(request.param)
    kind, name, key, grid = dict(
        open_clip=(OpenCLIPTarget, "tiny-clip", "visual.conv1.weight", (4, 4)),
        timm=(TimmTarget, TINY, "patch_embed.proj.weight", (10, 10)),
    )[request.param]
    torch.manual_seed(7)
    state = library.create_model(name).state_dict()
    pixels = torch.rand(1, 3, 16 * grid[0], 16 * grid[1])
    return SimpleNamespace(kind=kind, name=name, key=key, grid=grid, state=state, pixels=pixels)


@pytest.fixture
def tower():
    return PatchMeans()


@pytest.fixture
def target(tower):
    return TargetGenerator(tower, MEAN, STD)


@pytest.fixture
def trained(open_clip):
    """Return a tiny CLIP with other weights than its initialization."""
    torch.manual_seed(7)
    return open_clip.create_model("tiny-clip").eval()


@pytest.fixture
def weights(trained, tmp_path):
    path = tmp_path / "open_clip_model.pt"
    torch.save(trained.state_dict(), path)
    return str(path)


@pytest.fixture
def tags(open_clip, weights, monkeypatch):
    """Return the tags of the tiny CLIP, whose weights are in a file, the last ones at a hub."""
    plain = dict(open_clip.get_pretrained_cfg("ViT-B-16", "laion2b_s34b_b88k"), file=weights)
    hub = {key: value for key, value in plain.items() if key != "file"}
    known = dict(
        plain=plain,
        imagenet=plain | IMAGENET,
        quick=plain | dict(quick_gelu=True),
        hub=hub | dict(hf_hub="some/repository/", url=""),
        link=hub | dict(hf_hub="", url="https://localhost/some/weights.pt"),
    )
    registry = pytest.importorskip("open_clip.pretrained")._PRETRAINED
    monkeypatch.setitem(registry, "tiny-clip", known)
    return known

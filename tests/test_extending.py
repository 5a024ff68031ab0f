"""Each part in docs/extending.md works in a training step, with the code of the page."""

import copy
import importlib
import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.utils import register_all_modules

from mim_plugins.paths import CONFIG_DIR
from mim_plugins.registry import MODELS, TRANSFORMS

# both import their classes here, because a fixture restores sys.modules
register_all_modules(init_default_scope=False)
assert MODELS.get("MixMAE")

PAGE = Path(__file__).parents[1] / "docs/extending.md"
MAX_LINES = 30

VIT = dict(depth=2, embed_dims=16, num_heads=2)
SWIN = dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2))
TINY = dict(
    my_convnet=dict(
        backbone=dict(arch=dict(depths=(1, 1, 2, 1), embed_dims=8), img_size=64),
        decoder=dict(embed_dims=16, depth=1, num_heads=2),
    ),
    my_vit=dict(
        backbone=dict(arch=VIT, img_size=64),
        decoder=dict(embed_dims=16, depth=1, num_heads=2),
        mimics=None,
    ),
    my_target=dict(
        backbone=dict(arch=dict(VIT, _delete_=True), img_size=64),
        decoder=dict(embed_dims=16, depth=1, num_heads=2),
        mimics=dict(resnet=dict(target_generator=dict(weights=None))),
    ),
    my_mixing=dict(
        backbone=dict(arch=dict(SWIN, _delete_=True), img_size=128),
        decoder=dict(embed_dims=16, depth=1, num_heads=2),
    ),
)


def blocks():
    """Return the Python blocks of the page by the file name in their first line."""
    found = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return dict(found)


def parts():
    """Return pairs of a module of the page and the config after it."""
    names = list(blocks())
    return list(zip(names[::2], names[1::2], strict=True))


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Write a part and its config as on the page, and build a small version of the algorithm."""
    for registry in (MODELS, TRANSFORMS):
        monkeypatch.setattr(registry, "_module_dict", dict(registry._module_dict))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    for folder in ("_base_", "mixmae", "mrmae"):
        target = tmp_path / "configs" / folder
        target.mkdir(parents=True)
        for file in (CONFIG_DIR / folder).iterdir():
            (target / file.name).symlink_to(file.resolve())

    def build_part(module):
        config = dict(parts())[f"{module}.py"]
        (tmp_path / f"{module}.py").write_text(blocks()[f"{module}.py"])
        (tmp_path / config).write_text(blocks()[config])
        cfg = Config.fromfile(tmp_path / config)
        cfg.merge_from_dict(dict(model=copy.deepcopy(TINY[module])))
        # a run builds its model in the scope of the config
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            return MODELS.build(cfg.model), importlib.import_module(module)

    return build_part


def train_step(model, size=64):
    """Run one step with backward pass on 4 random images; return its losses."""
    model.init_weights()
    model.train()
    images = torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8)
    data = model.data_preprocessor(dict(inputs=list(images)), training=True)
    losses = model(**data, mode="loss")
    sum(losses.values()).backward()
    return losses


def without_gradient(model):
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]


def test_the_page_has_the_four_parts():
    assert [module for module, _ in parts()] == [f"{name}.py" for name in TINY]


@pytest.mark.parametrize("module", TINY)
def test_each_part_takes_at_most_30_lines(module):
    lines = [line for line in blocks()[f"{module}.py"].splitlines() if line.strip()]

    assert len(lines) <= MAX_LINES


def test_convolutional_backbone_trains_and_leaks_nothing(build):
    model, module = build("my_convnet")

    losses = train_step(model)

    assert type(model.backbone) is module.MaskedConvNet
    assert set(losses) == {"loss_rec"}
    assert without_gradient(model) == []
    model.eval()
    own, other = torch.randn(2, 2, 3, 64, 64)
    mask = torch.tensor([[[True, False], [False, True]]])
    pixels = mask.repeat_interleave(32, 1).repeat_interleave(32, 2)[:, None]
    with torch.no_grad():
        before = model.backbone.forward_mixed(own, mask)
        after = model.backbone.forward_mixed(torch.where(pixels, other, own), mask)
    kept = ~mask.flatten()
    torch.testing.assert_close(after[:, kept], before[:, kept])
    assert not torch.allclose(after[:, ~kept], before[:, ~kept])


def test_convolutional_backbone_gives_maps_for_transfer(build):
    model, module = build("my_convnet")
    arch = TINY["my_convnet"]["backbone"]["arch"]
    backbone = module.MaskedConvNet(arch=arch, out_indices=(0, 1, 2, 3))

    maps = backbone(torch.randn(1, 3, 50, 70))

    shapes = [(1, 8, 13, 18), (1, 16, 7, 9), (1, 32, 4, 5), (1, 64, 2, 3)]
    assert [tuple(each.shape) for each in maps] == shapes
    assert set(model.backbone.state_dict()) <= set(backbone.state_dict())
    assert model.backbone.get_layer_depth("stages.2.blocks.1.0.weight") == (4, 7)


def test_plain_backbone_trains_and_leaks_nothing(build):
    model, module = build("my_vit")

    losses = train_step(model)

    assert type(model.backbone) is module.StemViT
    assert set(losses) == {"loss_rec"}
    assert without_gradient(model) == []
    images = torch.randn(2, 3, 64, 64)
    token_mask = model.sample_mask(images, {})
    cells = token_mask.mask.unflatten(1, (4, 4))
    hidden = cells.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, None]
    model.eval()
    with torch.no_grad():
        before = model.backbone.forward_masked(images, token_mask).tokens
        changed = torch.where(hidden, torch.randn_like(images), images)
        after = model.backbone.forward_masked(changed, token_mask).tokens
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize(
    ("out_type", "shape"), [("featmap", (1, 16, 2, 3)), ("avg_featmap", (1, 16))]
)
def test_plain_backbone_gives_features_for_transfer(build, out_type, shape):
    _, module = build("my_vit")
    backbone = module.StemViT(**TINY["my_vit"]["backbone"], out_type=out_type)

    (features,) = backbone(torch.randn(1, 3, 32, 48))

    assert tuple(features.shape) == shape


def test_target_generator_trains_and_is_in_no_checkpoint(build):
    model, module = build("my_target")

    losses = train_step(model)

    assert type(model.mimics.resnet.target_generator) is module.ResNetTarget
    assert set(losses) == {"loss_rec", "loss_mimic"}
    assert model.mimics.resnet.head.distance == "cosine"
    assert 0 < losses["loss_mimic"] < 2
    assert without_gradient(model) == []
    assert not [name for name in model.state_dict() if "target" in name or "body" in name]


def test_mixing_transform_takes_one_rectangle_and_trains(build):
    model, module = build("my_mixing")

    losses = train_step(model, size=128)

    mixing = model.data_preprocessor.batch_transform
    assert type(mixing) is module.MixRectangles
    assert without_gradient(model) == []
    assert set(losses) == {"loss_rec"}
    batch = mixing(torch.randn(4, 3, 128, 128))
    rows, columns = batch.mask[0].any(dim=1), batch.mask[0].any(dim=0)
    assert batch.mask[0].equal(rows[:, None] & columns)
    assert batch.mask.sum() == 4
    assert sorted(batch.partner.tolist()) == [0, 1, 2, 3]

import pytest
import torch
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES

from mim_plugins.backbones import FrozenBackbone
from mim_plugins.errors import ConfigError
from mim_plugins.layers.pooling import pooled_features

ENCODERS = TINY_BACKBONES | PLAIN_BACKBONES


@pytest.fixture(params=["large_windows", "vit", "conv_vit"])
def config(request):
    return ENCODERS[request.param] | dict(img_size=64, drop_path_rate=0.5)


def test_training_mode_adds_no_gradient_and_no_randomness(config):
    frozen = FrozenBackbone(config)
    before = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    head = torch.nn.Linear(frozen(torch.zeros(1, 3, 64, 64))[0].shape[1], 2)
    model = torch.nn.ModuleDict(dict(backbone=frozen, head=head)).train()
    images = torch.randn(4, 3, 64, 64)

    (features,) = frozen(images)
    head(features).sum().backward()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, weight_decay=0.5)
    optimizer.step()

    assert head.weight.grad is not None
    assert all(p.grad is None and not p.requires_grad for p in frozen.parameters())
    assert all(torch.equal(frozen.state_dict()[name], old) for name, old in before.items())
    assert not any(module.training for module in frozen.modules())
    assert torch.equal(frozen(images)[0], features)


def test_features_are_those_of_the_encoder(config):
    frozen = FrozenBackbone(config)
    images = torch.randn(2, 3, 64, 64)
    (features,) = frozen(images)
    assert features.ndim == 2
    assert torch.equal(features, pooled_features(frozen.encoder, images))


def test_the_encoder_loads_its_checkpoint(config, tmp_path):
    trained = FrozenBackbone(config).encoder
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter)
    file = tmp_path / "pretrained.pth"
    torch.save({f"backbone.{name}": t for name, t in trained.state_dict().items()}, file)

    init_cfg = dict(type="Pretrained", checkpoint=str(file), prefix="backbone.")
    frozen = FrozenBackbone(config | dict(init_cfg=init_cfg))
    frozen.init_weights()

    for name, tensor in trained.state_dict().items():
        assert torch.equal(frozen.encoder.state_dict()[name], tensor), name
    assert not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("kind", ["Pretrained", "mmengine.Pretrained"])
def test_a_checkpoint_outside_the_encoder_is_refused(config, kind, as_list):
    init_cfg = dict(type=kind, checkpoint="x.pth", prefix="backbone.")
    with pytest.raises(ConfigError, match=r"x\.pth.*set it as model\.backbone\.encoder\.init_cfg"):
        FrozenBackbone(config, [init_cfg] if as_list else init_cfg)


def test_other_initialization_is_that_of_the_encoder(config):
    frozen = FrozenBackbone(config, dict(type="Constant", layer="Linear", val=3.0))
    frozen.init_weights()
    linear = next(m for m in frozen.modules() if isinstance(m, torch.nn.Linear))
    assert (linear.weight == 3.0).all()

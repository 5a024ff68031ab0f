"""At base size, MixMAE equals mmpretrain's MixMIM with the same weights, images and mask."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from parity import relative_error

from mim_plugins.checkpoints import convert
from mim_plugins.masking import MixedImages, choose_partners, mix, unmix
from mim_plugins.registry import MODELS

pytest.importorskip("mmpretrain", exc_type=ImportError)
CONFIG = Path(__file__).parents[1] / "configs/mixmae/swin_b_600e.py"
TOLERANCE = 1e-4


@pytest.fixture(scope="module", autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


@pytest.fixture(scope="module")
def theirs():
    from mmpretrain.registry import MODELS as THEIR_MODELS

    torch.manual_seed(0)
    model = THEIR_MODELS.build(
        dict(
            type="MixMIM",
            backbone=dict(type="MixMIMPretrainTransformer", arch="B", mask_ratio=0.5),
            neck=dict(
                type="MixMIMPretrainDecoder",
                num_patches=49,
                encoder_stride=32,
                embed_dim=1024,
                decoder_embed_dim=512,
                decoder_depth=8,
                decoder_num_heads=16,
            ),
            head=dict(
                type="MixMIMPretrainHead",
                norm_pix=True,
                loss=dict(type="PixelReconstructionLoss", criterion="L2"),
            ),
        )
    )
    with torch.no_grad():  # norms with an effect, because their order matters
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    for module in model.modules():  # mmpretrain's decoder norms use 1e-6, the authors 1e-5
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-5
    return model.eval()


@pytest.fixture(scope="module")
def ours(theirs):
    cfg = Config.fromfile(CONFIG).model
    model = MODELS.build(cfg)
    _, weights = convert(theirs.state_dict())
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert unexpected == []
    assert missing == []
    return model.eval()


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, 224, 224, generator=generator)
    mask = torch.rand(1, 7, 7, generator=generator) < 0.5
    partner = choose_partners(2)
    return MixedImages(images, mix(images, mask, partner), mask, partner)


def test_loss_latent_reconstruction_and_gradients_are_equal(theirs, ours, batch, monkeypatch):
    masks = [
        batch.mask.float()
        .repeat_interleave(factor, 1)
        .repeat_interleave(factor, 2)
        .reshape(1, -1, 1)
        for factor in (8, 4, 2, 1)
    ]
    monkeypatch.setattr(theirs.backbone, "random_masking", lambda *_, **__: masks)

    latent, _ = theirs.backbone(batch.images)
    reconstruction = theirs.neck(latent, masks[-1])
    loss = theirs.head.loss(reconstruction, batch.images, masks[-1])
    loss.backward()
    our_latent = ours.backbone.forward_mixed(batch.mixed, batch.mask)
    our_parts = ours.decoder(our_latent, batch.mask)
    our_loss = ours.head(unmix(*our_parts, batch.mask, batch.partner), batch.images)
    our_loss.backward()

    assert relative_error(our_latent, latent) < TOLERANCE
    assert relative_error(torch.cat(our_parts), reconstruction) < TOLERANCE
    assert relative_error(our_loss, loss) < TOLERANCE
    _, their_gradients = convert(
        {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
        | {"backbone.absolute_pos_embed": theirs.backbone.absolute_pos_embed}
    )
    compared = 0
    for name, parameter in ours.named_parameters():
        assert relative_error(parameter.grad, their_gradients[name]) < TOLERANCE, name
        compared += 1
    assert compared == len(their_gradients) - 1


def test_transfer_features_are_equal(theirs, ours, batch):
    from mmpretrain.registry import MODELS as THEIR_MODELS

    classifier = THEIR_MODELS.build(dict(type="MixMIMTransformer", arch="B"))
    classifier.eval()
    classifier.load_state_dict(theirs.backbone.state_dict())
    with torch.no_grad():
        (pooled,) = classifier(batch.images)
        (features,) = ours.backbone(batch.images)
    assert relative_error(features.mean(dim=(2, 3)), pooled) < TOLERANCE

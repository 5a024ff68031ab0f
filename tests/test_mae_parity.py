"""At base size, MRMAE without teachers equals mmpretrain's MAE with the same weights and mask."""

import pytest
import torch
from mmengine.registry import DefaultScope
from parity import relative_error

from mim_plugins.checkpoints import convert
from mim_plugins.masking import mask_from_scores
from mim_plugins.registry import MODELS

pytest.importorskip("mmpretrain", exc_type=ImportError)
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
            type="MAE",
            backbone=dict(type="MAEViT", arch="b", patch_size=16, mask_ratio=0.75),
            neck=dict(
                type="MAEPretrainDecoder",
                patch_size=16,
                in_chans=3,
                embed_dim=768,
                decoder_embed_dim=512,
                decoder_depth=8,
                decoder_num_heads=16,
                mlp_ratio=4.0,
            ),
            head=dict(
                type="MAEPretrainHead",
                norm_pix=True,
                patch_size=16,
                loss=dict(type="PixelReconstructionLoss", criterion="L2"),
            ),
        )
    )
    model.init_weights()  # also fills the position embeddings
    with torch.no_grad():  # norms, biases and a [CLS] position that do something
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1 or name.endswith("cls_token"):
                parameter.add_(0.1 * torch.randn_like(parameter))
        model.backbone.pos_embed[:, :1] = torch.randn(1, 1, 768)
    model.eval()  # returns None
    return model


@pytest.fixture(scope="module")
def ours(theirs):
    model = MODELS.build(
        dict(
            type="mim_plugins.MRMAE",
            backbone=dict(type="mim_plugins.MaskedViT", arch="base"),
            decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=512, depth=8, num_heads=16),
            head=dict(type="mim_plugins.PixelHead", norm_pix=True),
            data_preprocessor=dict(type="mim_plugins.MixDataPreprocessor"),
            mask_ratio=0.75,
        )
    )
    _, weights = convert(theirs.state_dict())
    model.load_state_dict(weights)
    return model.eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def test_loss_latent_reconstruction_and_gradients_are_equal(theirs, ours, images, monkeypatch):
    noise = torch.rand(2, 196, generator=torch.Generator().manual_seed(2))
    token_mask = mask_from_scores(noise, ours.mask_ratio)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: noise)  # what their masking draws

    latent, mask, ids_restore = theirs.backbone(images)
    reconstruction = theirs.neck(latent, ids_restore)
    loss = theirs.head.loss(reconstruction, images, mask)
    loss.backward()
    encoded = ours.backbone.forward_masked(images, token_mask)
    our_reconstruction = ours.decoder(
        encoded.tokens, encoded.prefix_tokens, token_mask.ids_restore, (14, 14)
    )
    our_loss = ours.loss(images)["loss_rec"]
    our_loss.backward()

    assert torch.equal(token_mask.mask, mask.bool())
    assert torch.equal(token_mask.ids_restore, ids_restore)
    our_latent = torch.cat([encoded.prefix_tokens, encoded.tokens], dim=1)
    assert relative_error(our_latent, latent) < TOLERANCE
    assert relative_error(our_reconstruction, reconstruction) < TOLERANCE
    assert relative_error(our_loss, loss) < TOLERANCE
    _, their_gradients = convert(
        {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    )
    assert set(their_gradients) == set(dict(ours.named_parameters()))
    for name, parameter in ours.named_parameters():
        assert relative_error(parameter.grad, their_gradients[name]) < TOLERANCE, name


def test_transfer_features_are_equal(theirs, ours, images):
    from mmpretrain.registry import MODELS as THEIR_MODELS

    encoder = THEIR_MODELS.build(
        dict(type="VisionTransformer", arch="b", patch_size=16, out_type="featmap")
    )
    encoder.eval()  # returns None
    missing, unexpected = encoder.load_state_dict(theirs.backbone.state_dict(), strict=False)
    assert not missing
    assert not unexpected
    with torch.no_grad():
        (expected,) = encoder(images)
        (featmap,) = ours.backbone(images)

    assert relative_error(featmap, expected) < TOLERANCE


def test_pooled_transfer_features_are_equal(theirs, images):
    from mmpretrain.registry import MODELS as THEIR_MODELS

    encoder = THEIR_MODELS.build(
        dict(
            type="VisionTransformer",
            arch="b",
            patch_size=16,
            out_type="avg_featmap",
            final_norm=False,
        )
    )
    encoder.eval()  # returns None
    encoder.load_state_dict(theirs.backbone.state_dict(), strict=False)
    with torch.no_grad():
        encoder.ln2.weight.add_(0.1 * torch.randn(768))
        encoder.ln2.bias.add_(0.1 * torch.randn(768))
        (expected,) = encoder(images)
    backbone = dict(type="mim_plugins.MaskedViT", arch="base", out_type="avg_featmap")
    pooled = MODELS.build(backbone).eval()
    _, weights = convert({f"backbone.{name}": p for name, p in encoder.state_dict().items()})
    pooled.load_state_dict({name.removeprefix("backbone."): p for name, p in weights.items()})

    with torch.no_grad():
        (features,) = pooled(images)

    assert relative_error(features, expected) < TOLERANCE

import pytest
import torch
import torch.nn.functional as F

from mim_plugins.backbones import EncodedTokens
from mim_plugins.masking import gather_tokens
from mim_plugins.registry import MODELS
from mim_plugins.visualization import (
    complementary_masks,
    mixture_similarity_maps,
    similarity_maps,
)


@pytest.mark.parametrize(("ratio", "masks"), [(0.75, 4), (0.5, 2), (0.6, 3), (0.3, 2)])
def test_complementary_masks_show_every_token_once_or_more(ratio, masks):
    found = complementary_masks(torch.zeros(3, 3, 64, 64), 16, ratio)
    assert len(found) == masks
    shown = torch.stack([~mask.mask for mask in found])
    assert shown.any(dim=0).all()
    for mask in found:
        assert mask.ids_keep.shape[1] == int(16 * (1 - ratio))
        assert ((~mask.mask).sum(dim=1) == int(16 * (1 - ratio))).all()
        assert torch.equal((~mask.mask).nonzero()[:, 1].reshape(3, -1), mask.ids_keep.sort(1)[0])


def test_similarity_is_1_for_equal_and_minus_1_for_opposite(build, prepare, monkeypatch):
    model = build().eval()
    images = prepare(model)
    features = model.compute_targets(images, (4, 4))["colors"].features.clone()
    features[:, 5] *= -2

    def encode(images, token_mask, out_indices):
        return EncodedTokens(gather_tokens(features, token_mask.ids_keep), None, ())

    monkeypatch.setattr(model.backbone, "forward_masked", encode)
    model.mimics["colors"].head.proj = torch.nn.Identity()

    maps = similarity_maps(model, images)

    expected = torch.ones(4, 16)
    expected[:, 5] = -1
    assert torch.allclose(maps["colors"], expected.reshape(4, 4, 4), atol=1e-5)


def test_fused_levels_are_used(build, prepare, colors):
    model = build(mimics=dict(a=colors | dict(fusion_layers=(0,)), b=colors)).eval()
    torch.manual_seed(0)
    maps = similarity_maps(model, prepare(model))
    model.mimics["a"].head.fusion[0].weight.data *= 50
    torch.manual_seed(0)
    changed = similarity_maps(model, prepare(model))
    assert set(maps) == {"a", "b"}
    assert not torch.allclose(maps["a"], changed["a"])
    assert torch.equal(maps["b"], changed["b"])


def test_tokens_of_a_mixture_are_compared_with_their_own_image(mixmae_config, colors, prepare):
    model = MODELS.build(mixmae_config | dict(mimics=dict(c=colors))).eval()
    images = prepare(model)
    batch = model.data_preprocessor.batch_transform(images)

    (values,) = mixture_similarity_maps(model, batch).values()

    tokens = model.mimics["c"].head.proj(model.backbone.forward_mixed(batch.mixed, batch.mask))
    pixels = (images * model.data_preprocessor.std + model.data_preprocessor.mean) / 255
    features = model.mimics["c"].target_generator(pixels, (4, 4)).features
    row, col = 1, 2
    for image in range(4):
        partner = int(batch.partner[image])
        source = partner if batch.mask[0, row, col] else image
        expected = F.cosine_similarity(tokens[image, 6], features[source, 6], dim=0)
        assert values[image, row, col].item() == pytest.approx(expected.item(), abs=1e-5)


def test_without_teachers_there_are_no_maps(build, mixmae, prepare):
    model = build(mimics=None)
    assert similarity_maps(model, prepare(model)) == {}
    batch = mixmae.data_preprocessor.batch_transform(prepare(mixmae))
    assert mixture_similarity_maps(mixmae, batch) == {}

import pytest
import torch

from mim_plugins.registry import MODELS
from mim_plugins.visualization import reconstruction_panels
from mim_plugins.visualization.panels import panel_caption


@pytest.mark.parametrize("batch_size", [2, 3, 4])
def test_mixmae_shows_each_image_and_what_its_mixture_shows(mixmae, photos, prepare, batch_size):
    panels = reconstruction_panels(mixmae, prepare(mixmae)[:batch_size])

    titles = ["original A", "original B", "mixture", "reconstruction A", "reconstruction B"]
    assert list(panels) == titles
    own, partner, mixture, own_again, partner_again = panels.values()
    rows = (batch_size + 1) // 2
    assert all(panel.shape == (rows, 3, 64, 64) for panel in panels.values())
    assert all(panel.dtype == torch.uint8 for panel in panels.values())
    pred_partner = (mixture == partner).all(dim=1, keepdim=True).expand_as(own)
    assert torch.equal(mixture[~pred_partner], own[~pred_partner])
    assert torch.equal(own_again[~pred_partner], own[~pred_partner])
    assert torch.equal(partner_again[pred_partner], partner[pred_partner])
    shown = {image.numpy().tobytes() for image in (*own, *partner)}
    assert shown == {image.numpy().tobytes() for image in photos[:batch_size]}


def test_mrmae_shows_natural_colors_and_hides_in_gray(build, photos, prepare):
    model = build(mimics=None)
    original, visible, reconstruction = reconstruction_panels(model, prepare(model)).values()
    assert torch.equal(original, photos)
    hidden = (visible == 127).all(dim=1, keepdim=True).expand_as(original)
    assert hidden.float().mean().item() == pytest.approx(0.75, abs=0.01)
    assert torch.equal(reconstruction[~hidden], photos[~hidden])
    assert not torch.equal(reconstruction[hidden], photos[hidden])


@pytest.mark.parametrize("norm_pix", [True, False])
def test_perfect_predictions_give_the_original_colors(build, photos, prepare, norm_pix):
    model = build(mimics=None, head=dict(type="mim_plugins.PixelHead", norm_pix=norm_pix))
    images = prepare(model)

    class PerfectDecoder(torch.nn.Module):
        def forward(self, *_):
            return model.head.target(images)

    model.decoder = PerfectDecoder()
    assert torch.equal(reconstruction_panels(model, images)["reconstruction"], photos)


def test_mrmae_with_teachers_shows_similarity_and_focus(build, prepare):
    model = build(focus_teacher="colors")
    panels = reconstruction_panels(model, prepare(model))
    assert list(panels)[3:] == [
        "similarity to colors at visible tokens", "attention of colors (focus)"
    ]  # fmt: skip
    assert all(panel.shape == (4, 3, 64, 64) for panel in panels.values())
    assert "one of several masks" in panel_caption(panels)
    unfocused = build()
    assert len(reconstruction_panels(unfocused, prepare(unfocused))) == 4


def test_mixmae_with_teachers_shows_similarity(mixmae_config, colors, prepare):
    model = MODELS.build(mixmae_config | dict(mimics=dict(c=colors)))
    panels = reconstruction_panels(model, prepare(model))
    assert list(panels)[5:] == ["similarity to c"]
    assert "cosine" in panel_caption(panels)
    assert "complementary" not in panel_caption(panels)


def test_the_seed_decides_the_masks_and_nothing_is_left_behind(build, prepare):
    model = build().train()
    images = prepare(model)
    before = torch.get_rng_state()

    first, again, other = (reconstruction_panels(model, images, seed) for seed in (0, 0, 1))

    assert torch.equal(first["visible"], again["visible"])
    assert not torch.equal(first["visible"], other["visible"])
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert model.backbone.training


def test_other_models_are_refused(photos):
    with pytest.raises(ValueError, match="Identity does not reconstruct"):
        reconstruction_panels(torch.nn.Identity(), photos)


def test_one_image_cannot_be_mixed(mixmae, prepare):
    with pytest.raises(ValueError, match="at least 2 images"):
        reconstruction_panels(mixmae, prepare(mixmae)[:1])


def shows_bgr_in_natural_colors(model, photos):
    model.data_preprocessor.bgr_to_rgb = False
    steps = [dict(type="mim_plugins.LoadImage")]
    model.run_config = dict(train_dataloader=dict(dataset=dict(pipeline=steps)))
    images = model.data_preprocessor(dict(inputs=list(photos.flip(1))))["inputs"]
    original = next(iter(reconstruction_panels(model, images).values()))
    shown = {image.numpy().tobytes() for image in original}
    return shown <= {image.numpy().tobytes() for image in photos}


def test_mixmae_that_reads_bgr_is_shown_in_natural_colors(mixmae, photos):
    assert shows_bgr_in_natural_colors(mixmae, photos)


def test_mrmae_that_reads_bgr_is_shown_in_natural_colors(build, photos):
    assert shows_bgr_in_natural_colors(build(mimics=None), photos)

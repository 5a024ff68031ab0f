import pytest
import torch

from mim_plugins import get_model, reconstruct


def test_mixmae_returns_pictures_of_the_given_images(pretrain_cfg, photos):
    photos[0] = photos[0][:32, :32]
    panels = reconstruct(get_model(pretrain_cfg), photos[:2])
    assert torch.equal(panels["original A"][0].permute(1, 2, 0), torch.from_numpy(photos[0]))
    assert all(panel.shape == (1, 3, 32, 32) for panel in panels.values())


def test_mrmae_works_without_teachers_on_one_image(mrmae_cfg, photos):
    panels = reconstruct(get_model(mrmae_cfg), photos[2])
    assert list(panels) == ["original", "visible", "reconstruction"]
    assert panels["reconstruction"].shape == (1, 3, 64, 64)
    assert panels["reconstruction"].dtype == torch.uint8


def test_classifiers_are_refused(finetune_cfg, photos):
    with pytest.raises(ValueError, match="ImageClassifier does not reconstruct"):
        reconstruct(get_model(finetune_cfg), photos)

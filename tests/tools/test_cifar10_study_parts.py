"""Teachers, ablations and evaluations of the longer comparison on CIFAR-10."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mim_plugins.registry import MODELS

FOLDER = Path(__file__).parents[2] / "tools/dev/experiments/cifar10"


def test_hits_survive_their_text(cifar10):
    score = cifar10("score")
    hits = np.random.default_rng(0).random(1003) < 0.3
    assert (score.unpack(score.pack(hits), 1003) == hits).all()


def test_groups_are_disjoint_and_each_image_is_left_out(cifar10):
    groups, transfer = cifar10("imagenet_groups"), cifar10("transfer")
    names = [name for text in groups.GROUPS.values() for name in text.split()]
    assert len(groups.GROUPS) == 10
    assert len(names) == len(set(names)) == len(groups.GROUP_OF)
    generator = torch.Generator().manual_seed(0)
    centers = torch.eye(8)[:2].repeat_interleave(torch.tensor([30, 6]), dim=0)
    features = centers + 0.01 * torch.randn(36, 8, generator=generator)
    labels = ["bird"] * 30 + ["dog"] * 6
    assert transfer.group_accuracy(features, labels) == 100
    alone = ["bird"] * 35 + ["dog"]  # its own label must not help
    assert transfer.group_accuracy(torch.ones(36, 8), alone) == 50


def test_images_of_the_groups_are_squares_of_their_centers(cifar10, tmp_path):
    import cv2

    transfer = cifar10("transfer")
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, 32:96] = (0, 0, 255)  # red in BGR
    cv2.imwrite(str(tmp_path / "robin.png"), image)
    (tmp_path / "robin.png").rename(tmp_path / "n01558993_robin.JPEG")
    cv2.imwrite(str(tmp_path / "n00000000_unknown.png"), image)
    images, groups = transfer.imagenet(tmp_path)
    assert groups == ["bird"]
    assert images.shape == (1, 3, 32, 32)
    assert images[0].flatten(1).float().mean(dim=1).tolist() == [255, 0, 0]
    with pytest.raises(SystemExit, match="has no image"):
        transfer.imagenet(tmp_path / "missing")


def test_ap_of_a_validation_without_detections_is_zero(cifar10, tmp_path):
    detect = cifar10("detect")
    ap = {"coco/bbox_mAP": 0.5, "coco/segm_mAP": 0.4, "step": 160}
    interrupted = {"coco/bbox_mAP": 0.9, "coco/segm_mAP": 0.9, "step": 80}
    for attempt, entries in enumerate(([interrupted], [dict(loss=1.0, step=80), ap])):
        logs = tmp_path / f"2026113{attempt}/vis_data/scalars.json"
        logs.parent.mkdir(parents=True)
        logs.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    found = detect.read_ap(tmp_path, 80, 160)
    assert found == dict(iterations=[80, 160], box=[0.0, 0.5], mask=[0.0, 0.4])


def test_bfloat16_wrapper_changes_precision_not_weights(cifar10):
    wrapper = cifar10("bfloat16").Bfloat16OptimWrapper
    model = torch.nn.Linear(4, 4)
    wrapped = wrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with wrapped.optim_context(model):
        output = model(torch.ones(2, 4))
        assert torch.is_autocast_enabled("cpu")
    assert output.dtype == torch.bfloat16
    assert not torch.is_autocast_enabled("cpu")
    wrapped.update_params(output.float().sum())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_own_encoder_as_teacher_gives_its_tokens(cifar10, tmp_path):
    experiment_config = FOLDER / "configs/mae.py"
    for name in ("cifar_arrays", "cifar_vit", "encoder_target", "mask_token_swin", "variants"):
        cifar10(name)
    cfg = Config.fromfile(experiment_config, import_custom_modules=False)
    cfg.dump(tmp_path / "mae.py")
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / "mae.pth")
    paths = dict(config=str(tmp_path / "mae.py"), checkpoint=str(tmp_path / "mae.pth"))
    target = MODELS.build(dict(type="mim_plugins.EncoderTarget", normalize=False, **paths))
    pixels = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
    model.backbone.eval()
    with torch.no_grad():
        expected = model.backbone((255 * pixels - mean) / std)[0].flatten(2).transpose(1, 2)
        assert torch.allclose(target(pixels, (8, 8)).features, expected, atol=1e-5)


@pytest.mark.parametrize("on_all", [False, True])
def test_decoder_mimics_the_chosen_tokens_only(cifar10, on_all):
    for name in ("cifar_arrays", "cifar_vit", "encoder_target", "mask_token_swin", "variants"):
        cifar10(name)
    cfg = Config.fromfile(FOLDER / "configs/mrmae.py", import_custom_modules=False)
    cfg.model.mimics.teacher.target_generator.pretrained = None
    cfg.model |= dict(type="mim_plugins.DecoderMimic", on_all=on_all)
    model = MODELS.build(cfg.model)
    images = torch.randn(4, 3, 32, 32)
    torch.manual_seed(0)
    losses = model.loss(images)
    sum(losses.values()).backward()
    assert model.decoder_heads["teacher"].proj.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.mimics["teacher"].head.parameters())
    seen = []
    model.decoder_heads["teacher"].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.loss(images)
    assert seen[0].shape[0] == 4 * (64 if on_all else 48)

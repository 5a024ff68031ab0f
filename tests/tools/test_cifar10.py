"""Parts of the CIFAR-10 experiment."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mim_plugins.registry import DATASETS, MODELS

FOLDER = Path(__file__).parents[2] / "tools/dev/experiments/cifar10"
METHODS = ["mixmae", "simmim", "mae"]


@pytest.fixture
def arrays(tmp_path):
    """Four images of each class."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        images = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
        np.save(tmp_path / f"{split}_images.npy", images)
        np.save(tmp_path / f"{split}_labels.npy", np.arange(40) % 10)
    return tmp_path


def read(cifar10, method):
    for name in ("cifar_arrays", "cifar_vit", "mask_token_swin", "variants"):
        cifar10(name)
    return Config.fromfile(FOLDER / "configs" / f"{method}.py", import_custom_modules=False)


def test_an_augmented_image_is_a_window_of_the_padded_one(cifar10):
    arrays = cifar10("cifar_arrays")
    image = torch.arange(3 * 32 * 32).view(1, 3, 32, 32).float()
    padded = arrays.pad(image)[0]
    windows = [padded[:, y : y + 32, x : x + 32] for y in range(9) for x in range(9)]
    possible = windows + [window.flip(-1) for window in windows]
    for _ in range(20):
        augmented = arrays.augment(padded)
        assert any(torch.equal(augmented, window) for window in possible)


def test_test_images_are_unchanged_and_labels_are_balanced(cifar10, arrays):
    cifar10("cifar_arrays")
    config = dict(type="CifarArrays", data_root=str(arrays), images=40, labeled=True)
    labels = DATASETS.build(config | dict(per_class=2)).labels
    assert torch.bincount(labels).tolist() == [2] * 10
    dataset = DATASETS.build(config | dict(split="test"))
    image = np.load(arrays / "test_images.npy")[13].transpose(2, 0, 1)
    assert torch.equal(dataset[13]["inputs"], torch.from_numpy(image))
    assert dataset[13]["data_samples"].gt_label.item() == 3


def test_simmim_is_the_encoder_of_the_visible_pixels(cifar10):
    model = MODELS.build(read(cifar10, "simmim").model.backbone).eval()
    with torch.no_grad():
        model.encoder.norm.bias.normal_()
        images = torch.randn(2, 3, 32, 32)
        expected = model.encoder(images)[0]
        assert torch.allclose(model(images, torch.zeros(2, 8, 8))[0], expected, atol=1e-6)

    mask = torch.zeros(1, 8, 8)
    mask[0, :4] = 1
    images = torch.randn(1, 3, 32, 32)
    other = images.clone()
    other[:, :, :16] += 5
    assert torch.equal(model(images, mask)[0], model(other, mask)[0])
    other[:, :, 16:] += 5
    assert not torch.allclose(model(images, mask)[0], model(other, mask)[0])


@pytest.mark.parametrize("method", METHODS)
def test_pretraining_lowers_the_loss(cifar10, arrays, method):
    from mmengine.optim import build_optim_wrapper
    from mmengine.runner import Runner

    cfg = read(cifar10, method)
    cfg.train_dataloader.dataset.data_root = str(arrays)
    cfg.train_dataloader.batch_size = 16
    cfg.model.setdefault("data_preprocessor", cfg.get("data_preprocessor"))
    model = MODELS.build(cfg.model)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    losses = [model.train_step(batch, optimizer)["loss"].item() for _ in range(25)]
    assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3])


def test_single_reconstruction_uses_masked_parts_of_one_image(cifar10):
    cfg = read(cifar10, "mixmae")
    cfg.model.type = "mim_plugins.SingleReconstruction"
    model = MODELS.build(cfg.model)
    mixing = model.data_preprocessor.batch_transform
    batch = mixing(torch.randn(4, 3, 32, 32))
    tokens = model.backbone.forward_mixed(batch.mixed, batch.mask)
    errors = (model.decoder(tokens, batch.mask)[0] - model.head.target(batch.images)).square()
    expected = errors[:, batch.mask.flatten()].mean()
    assert torch.allclose(model.loss(batch)["loss_rec"], expected)


def test_tokens_attend_to_the_other_image_without_the_mask(cifar10):
    cfg = read(cifar10, "mixmae")
    images, mask = torch.randn(2, 3, 32, 32), torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, 2:] = True
    other = images.clone()
    other[:, :, 16:] += 1
    for kind, equal in (("MaskedSwin", True), ("UnmaskedAttentionSwin", False)):
        torch.manual_seed(0)
        cfg.model.backbone.type = f"mim_plugins.{kind}"
        model = MODELS.build(cfg.model.backbone).eval()
        own = [model.forward_mixed(each, mask)[:, :8] for each in (images, other)]
        assert torch.allclose(*own, atol=1e-6) == equal


def test_every_variant_changes_its_method(cifar10):
    ablate = cifar10("ablate")
    cifar10("cifar_vit")
    for method, variants in ablate.VARIANTS.items():
        for changes in variants.values():
            cfg = read(cifar10, method)
            before = cfg.copy()
            cfg.merge_from_dict(changes)
            assert cfg.to_dict() != before.to_dict()
            if "mimics" in cfg.model:
                cfg.model.mimics.teacher.target_generator.pretrained = None
            cfg.model.setdefault("data_preprocessor", cfg.get("data_preprocessor"))
            MODELS.build(cfg.model)


def test_results_of_another_size_are_refused(cifar10, tmp_path, monkeypatch):
    compare = cifar10("compare")
    monkeypatch.setattr(compare, "decode_once", lambda *_: None)

    def prepare(size):
        return compare.prepare(Namespace(work_dir=tmp_path, data=tmp_path, size=size))

    for _ in range(2):
        assert prepare("smoke").size == compare.SIZES["smoke"]
    with pytest.raises(
        SystemExit, match="contains results of --size smoke: give another --work-dir"
    ):
        prepare("small")

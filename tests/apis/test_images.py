import tracemalloc

import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS, DefaultScope
from PIL import Image

from mim_plugins.apis import read_images
from mim_plugins.apis.images import normalize


@pytest.fixture
def photo():
    """Return a smooth 8-bit RGB image (50, 70, 3)."""
    y, x = np.mgrid[:50, :70]
    return np.stack([4 * y, 3 * x, 255 - 2 * x], axis=-1).astype(np.uint8)


def test_every_kind_of_image_gives_the_same_pixels(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    tensor = torch.from_numpy(photo.copy()).permute(2, 0, 1)
    kinds = [
        tmp_path / "photo.png",
        str(tmp_path / "photo.png"),
        Image.fromarray(photo),
        photo,
        photo / 255,
        tensor,
        tensor / 255,
    ]
    batch = read_images(kinds, 32, (32, 32))
    assert batch.dtype == torch.uint8
    assert batch.shape == (7, 3, 32, 32)
    assert all(torch.equal(image, batch[0]) for image in batch)
    for kind in kinds:
        assert torch.equal(read_images(kind, 32, (32, 32)), batch[:1])
    stacked = np.stack([photo, photo])
    assert torch.equal(read_images(stacked, 32, (32, 32)), batch[:2])


@pytest.mark.parametrize(("width", "height"), [(70, 50), (41, 97), (64, 64), (20, 31)])
def test_pixels_equal_those_of_mmpretrains_pipeline(width, height):
    generator = np.random.default_rng(0)
    rgb = generator.integers(0, 255, (height, width, 3), dtype=np.uint8)
    steps = [
        dict(type="ResizeEdge", scale=37, edge="short", backend="pillow", interpolation="bicubic"),
        dict(type="CenterCrop", crop_size=(32, 28)),  # width, height
    ]
    results = dict(img=rgb[..., ::-1], img_shape=rgb.shape[:2])
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        for step in steps:
            results = TRANSFORMS.build(step)(results)

    ours = read_images(rgb, 37, (28, 32))

    assert np.array_equal(ours[0].permute(1, 2, 0).numpy(), results["img"][..., ::-1])


@pytest.mark.parametrize("size", [(20000, 1), (1, 20000), (3, 9000)])
def test_very_long_images_take_little_memory(size):
    tracemalloc.start()
    batch = read_images(Image.new("RGB", size, (200, 100, 50)), 256, (224, 224))
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert (batch == torch.tensor([200, 100, 50])[:, None, None]).all()


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        read_images(tmp_path / "nowhere.jpg", 32, (32, 32))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        read_images(tmp_path / "broken.jpg", 32, (32, 32))


def test_images_are_normalized_as_by_the_preprocessors(finetune_cfg, pretrain_cfg):
    from mim_plugins.apis import build_model

    rgb = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    for cfg in (finetune_cfg, pretrain_cfg):
        preprocessor = build_model(cfg).data_preprocessor
        expected = preprocessor(dict(inputs=list(rgb.flip(1))))["inputs"]
        assert torch.allclose(normalize(rgb, preprocessor), expected)
        assert torch.allclose(normalize(rgb.flip(1), preprocessor, to_bgr=True), expected)

import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS, DefaultScope
from PIL import Image

from mim_plugins.apis import read_images
from mim_plugins.apis.images import evaluation_geometry, normalise


@pytest.fixture
def photo():
    """Smooth RGB bytes (50, 70, 3)."""
    y, x = np.mgrid[:50, :70]
    return np.stack([4 * y, 3 * x, 255 - 2 * x], axis=-1).astype(np.uint8)


def test_every_kind_of_image_gives_the_same(photo, tmp_path):
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
def test_pixels_are_those_of_mmpretrains_pipeline(width, height):
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


def test_grey_and_transparent_images_become_rgb(photo):
    image = Image.fromarray(photo)
    assert read_images([image.convert("L"), image.convert("RGBA")], 32, (32, 32)).shape[1] == 3


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([], "there are none"),
        ([np.zeros((4, 4), np.uint8)], r"shape \(4, 4\)"),
        ([np.zeros((3, 4, 4), np.uint8)], r"expected RGB \(H, W, 3\)"),
        ([torch.zeros(1, 4, 4)], r"expected RGB \(3, H, W\)"),
        ([torch.full((3, 4, 4), -1.2)], r"images\[0\].*not normalised"),
        ([torch.full((3, 4, 4), float("nan"))], "nan"),
        ([np.zeros((4, 4, 3), np.int64)], "int64"),
        ([None], "NoneType is no image"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        read_images(image, 32, (32, 32))


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        read_images(tmp_path / "nowhere.jpg", 32, (32, 32))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    with pytest.raises(ValueError, match=r"broken\.jpg"):
        read_images(tmp_path / "broken.jpg", 32, (32, 32))


def test_geometry_is_that_of_the_test_pipeline(finetune_cfg, pretrain_cfg):
    assert evaluation_geometry(finetune_cfg, (32, 32)) == (37, (32, 32))
    assert evaluation_geometry(pretrain_cfg, (224, 224)) == (256, (224, 224))
    assert evaluation_geometry(None, (64, 32)) == (73, (64, 32))
    bare = dict(test_dataloader=dict(dataset=dict(dataset=dict(pipeline=[]))))
    assert evaluation_geometry(bare, (32, 32)) == (32, (32, 32))


def test_images_are_normalised_as_the_preprocessors_do(finetune_cfg, pretrain_cfg):
    from mim_plugins.apis import build_model

    rgb = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    for cfg in (finetune_cfg, pretrain_cfg):
        preprocessor = build_model(cfg).data_preprocessor
        expected = preprocessor(dict(inputs=list(rgb.flip(1))))["inputs"]
        assert torch.allclose(normalise(rgb, preprocessor, torch.device("cpu")), expected)

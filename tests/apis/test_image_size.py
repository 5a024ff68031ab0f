"""Very long images in pipelines with all resizing transforms."""

import pytest
import torch
from PIL import Image

from mim_plugins.apis.image_pipeline import ImagePipeline
from mim_plugins.errors import CorruptImageError

LOAD, PACK = dict(type="LoadImageFromFile"), dict(type="PackInputs")
CROP = dict(type="CenterCrop", crop_size=32)
TO_PIL, TO_NUMPY = dict(type="NumpyToPIL", to_rgb=True), dict(type="PILToNumpy", to_bgr=True)


def edge(scale=36, **settings):
    return dict(type="ResizeEdge", scale=scale, **settings)


def compose(*steps):
    return dict(type="Compose", transforms=list(steps))


@pytest.fixture(params=[(40000, 1), (1, 40000)], ids=["wide", "high"])
def image(request, tmp_path):
    """Return the path of a very long image of one color."""
    Image.new("RGB", request.param, (3, 2, 1)).save(tmp_path / "long.png")
    return tmp_path / "long.png"


@pytest.mark.parametrize(
    "steps",
    [
        [compose(edge(256), CROP)],
        [compose(edge(256)), CROP],
        [compose(compose(edge(256)), compose(CROP))],
        [edge(32, edge="long"), dict(type="Pad", size=(32, 32))],
        [compose(edge(32, edge="long")), dict(type="Pad", size=(32, 32))],
        [dict(type="Resize", scale=(32, 32))],
        [TO_PIL, dict(type="torchvision/Resize", size=(32, 32)), TO_NUMPY],
    ],
)
def test_long_images_become_small_without_a_large_intermediate(steps, image):
    (sample,) = ImagePipeline([LOAD, *steps, PACK])(image)
    assert sample["inputs"].shape == (3, 32, 32)
    assert sample["inputs"].unique().tolist() in ([1, 2, 3], [0, 1, 2, 3])


@pytest.mark.parametrize(
    "steps",
    [
        [TO_PIL, dict(type="torchvision/Resize", size=256), TO_NUMPY, CROP],
        [compose(TO_PIL, dict(type="torchvision/Resize", size=[256])), TO_NUMPY, CROP],
        [edge(256), dict(type="RandomFlip", prob=0.0), CROP],
        [dict(type="mmcv.Resize", scale=(256, 100_000_000), keep_ratio=True), CROP],
        [dict(type="mmcv.Resize", scale=(32, 32), keep_ratio=True)],
    ],
)
def test_an_image_that_cannot_be_resized_is_named_by_its_file(steps, image):
    pipeline = ImagePipeline([LOAD, *steps, PACK])
    with pytest.raises(CorruptImageError, match=r"'.*long\.png': too l.*would make it") as error:
        pipeline(image)
    assert error.value.path == str(image)
    small = Image.new("RGB", (64, 48))
    assert isinstance(pipeline(small)[0]["inputs"], torch.Tensor)

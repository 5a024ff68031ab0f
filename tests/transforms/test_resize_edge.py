import re
import tracemalloc

import numpy as np
import pytest
from mmpretrain.datasets.transforms import CenterCrop
from mmpretrain.datasets.transforms import ResizeEdge as Theirs
from PIL import Image

from mim_plugins.registry import TRANSFORMS
from mim_plugins.transforms import ResizeEdge
from mim_plugins.transforms.resize_edge import resized_size

WAYS = [
    ("pillow", "nearest"), ("pillow", "bilinear"), ("pillow", "bicubic"), ("pillow", "lanczos"),
    ("cv2", "bilinear"), ("cv2", "bicubic"), ("cv2", "area"), ("cv2", "lanczos"),
]  # fmt: skip


def smooth(height, width, channels=3):
    """Pixels with some change everywhere."""
    shape = (max(2, height // 5), max(2, width // 5), 3)
    small = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image if channels == 3 else image.convert("L"))


def loaded(image):
    return dict(img=image, img_shape=image.shape[:2], img_path="a.jpg")


@pytest.mark.parametrize("edge", ["short", "long", "width", "height"])
@pytest.mark.parametrize(("backend", "interpolation"), [("pillow", "bicubic"), ("cv2", "bilinear")])
@pytest.mark.parametrize("size", [(50, 70), (70, 50), (40, 40), (33, 401)])
def test_usual_images_are_resized_as_by_mmpretrain(edge, backend, interpolation, size):
    image = smooth(*size)
    ours = ResizeEdge(37, edge, backend, interpolation)(loaded(image))
    theirs = Theirs(37, edge, backend, interpolation)(loaded(image))
    assert ours.keys() == theirs.keys()
    assert np.array_equal(ours.pop("img"), theirs.pop("img"))
    assert ours == theirs


@pytest.mark.parametrize(("backend", "interpolation"), WAYS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "size",
    [(7, 901), (901, 7), (1, 2000), (2000, 3), (40, 1333), (1334, 41), (100, 5001), (64, 2048)],
)
def test_the_middle_of_long_images_has_the_pixels_of_the_whole(
    size, channels, backend, interpolation
):
    image = smooth(*size, channels)
    for crop in (CenterCrop(32), CenterCrop((33, 31)), CenterCrop((64, 24)), CenterCrop((3, 90))):
        ours = ResizeEdge(64, "short", backend, interpolation, max_ratio=2)(loaded(image))
        theirs = Theirs(64, "short", backend, interpolation)(loaded(image))
        assert max(ours["img_shape"]) < 64 * 2 + 4
        assert ours["scale_factor"] == pytest.approx(theirs["scale_factor"])
        ours, theirs = crop(ours)["img"], crop(theirs)["img"]
        assert ours.shape == theirs.shape
        difference = np.abs(ours.astype(int) - theirs)
        assert difference.max() <= (1 if backend == "pillow" else 4)
        assert difference.mean() < 0.5


@pytest.mark.parametrize(("backend", "interpolation"), WAYS)
@pytest.mark.parametrize("size", [(1, 20000), (20000, 1), (2, 60000)])
def test_memory_is_bounded(backend, interpolation, size):
    image = np.full((*size, 3), 77, np.uint8)
    tracemalloc.start()
    results = ResizeEdge(256, "short", backend, interpolation)(loaded(image))
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()
    assert results["img_shape"] == results["img"].shape[:2]
    assert min(results["img_shape"]) == 256
    assert 16 * 256 <= max(results["img_shape"]) < 16 * 256 + 4
    assert (results["img"] == 77).all()


@pytest.mark.parametrize("scale", [(64, 512), (512, 64), (90, 100)])
@pytest.mark.parametrize("shape", [(64, 512), (50, 70), (1, 20000), (20000, 1), (333, 17)])
def test_images_cover_two_sides_and_no_more(scale, shape):
    height, width = resized_size(shape, scale, "short")
    assert height >= scale[0]
    assert width >= scale[1]
    assert height == scale[0] or width == scale[1]
    image = ResizeEdge(scale, backend="pillow")(dict(img=np.zeros((*shape, 3), np.uint8)))["img"]
    longest = 16 * max(scale)
    for side, expected in zip(image.shape[:2], (height, width), strict=True):
        assert side == expected if expected <= longest else longest <= side < longest + 4


def test_two_equal_sides_are_the_short_edge():
    image = loaded(smooth(50, 71))
    pair, edge = ResizeEdge([37, 37])(image), ResizeEdge(37)(image)
    assert np.array_equal(pair.pop("img"), edge.pop("img"))
    assert pair == edge


def test_no_edge_becomes_zero():
    assert resized_size((1, 20000), 32, "long") == (1, 32)
    assert ResizeEdge(32, "long")(loaded(smooth(1, 20000)))["img"].shape == (1, 32, 3)


def test_a_transform_of_a_config_leaves_its_input_unchanged():
    given = loaded(smooth(50, 70))
    TRANSFORMS.build(dict(type="mim_plugins.ResizeEdge", scale=32))(given)
    assert given["img"].shape == (50, 70, 3)
    assert given["img_shape"] == (50, 70)


@pytest.mark.parametrize(
    "arguments",
    [
        dict(edge="shorter"),
        dict(backend="numpy"),
        dict(scale=0),
        dict(max_ratio=0.5),
        dict(scale=(0, 3)),
        dict(scale=(3, 4, 5)),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments):
    (name, value), *_ = arguments.items()
    with pytest.raises(ValueError, match=re.escape(f"{name}={value!r}")):
        ResizeEdge(**(dict(scale=32) | arguments))


@pytest.mark.parametrize("edge", ["long", "width", "height"])
def test_other_edges_have_one_length(edge):
    with pytest.raises(ValueError, match=f"scale=.*edge='{edge}' must be 'short'"):
        ResizeEdge((32, 64), edge)


@pytest.mark.parametrize("backend", ["cv2", "pillow"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", [(40, 50), (2, 600)])
def test_every_band_is_resized_like_a_single_one(backend, dtype, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 7)).astype(dtype)
    resize = ResizeEdge(8, backend=backend, interpolation="bicubic")
    whole = resize(dict(img=image))["img"]
    for band in range(7):
        single = resize(dict(img=np.ascontiguousarray(image[..., band])))["img"]
        assert np.array_equal(whole[..., band], single)

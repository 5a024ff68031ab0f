import numpy as np
import pytest
import torch
from image_files import oriented
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image

from mim_plugins.apis.image_pipeline import ImagePipeline
from mim_plugins.errors import ConfigError, CorruptImageError
from mim_plugins.transforms import LoadImage

LOAD, PACK = dict(type="LoadImageFromFile"), dict(type="PackInputs")
PIPELINES = {
    "the recipes'": [
        LOAD,
        dict(type="ResizeEdge", scale=36, backend="pillow", interpolation="bicubic"),
        dict(type="CenterCrop", crop_size=32),
        PACK,
    ],
    "another interpolation": [
        LOAD, dict(type="ResizeEdge", scale=36), dict(type="CenterCrop", crop_size=32), PACK,
    ],
    "to a fixed size": [LOAD, dict(type="Resize", scale=(32, 24)), PACK],
    "padded": [
        LOAD,
        dict(type="ResizeEdge", scale=32, edge="long"),
        dict(type="Pad", size=(32, 32), pad_val=9),
        PACK,
    ],
    "a crop only": [LOAD, dict(type="CenterCrop", crop_size=(20, 30)), PACK],
    "nothing": [LOAD, PACK],
    "gray": [
        dict(type="LoadImageFromFile", color_type="grayscale"), dict(type="Resize", scale=9), PACK,
    ],
    "solarized": [LOAD, dict(type="Solarize", thr=99, prob=1.0), PACK],
    "floats": [dict(type="LoadImageFromFile", to_float32=True), PACK],
    "flipped": [dict(type="mim_plugins.LoadImage"), dict(type="RandomFlip", prob=1.0), PACK],
    "as torchvision": [
        LOAD,
        dict(type="NumpyToPIL", to_rgb=True),
        dict(type="torchvision/Resize", size=36),
        dict(type="torchvision/CenterCrop", size=32),
        dict(type="PILToNumpy", to_bgr=True),
        PACK,
    ],
    "classes": [dict(type=LoadImageFromFile), dict(type="Resize", scale=(8, 8)), PACK],
    "objects": [LoadImage(), dict(type="Resize", scale=(8, 8)), PACK],
}  # fmt: skip


@pytest.fixture
def wide(tmp_path):
    """Return the path of a wide image."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 160, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    return tmp_path / "wide.png"


@pytest.mark.parametrize("name", PIPELINES)
def test_every_kind_of_image_passes_the_complete_pipeline(name, wide):
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        expected = Compose(PIPELINES[name])(dict(img_path=str(wide)))["inputs"]
    rgb = np.asarray(Image.open(wide))
    images = [wide, Image.open(wide), rgb, torch.from_numpy(rgb.copy()).permute(2, 0, 1)]

    samples = ImagePipeline(PIPELINES[name])(images)

    assert len(samples) == 4
    for sample in samples:
        assert sample["inputs"].dtype == expected.dtype
        # decoders round differently when they convert colors to gray
        difference = (sample["inputs"].float() - expected.float()).abs()
        assert difference.max() <= (2 if name == "gray" else 0)


def test_rotated_files_and_images_give_the_same_pixels(tmp_path):
    for kind in ("JPEG", "PNG"):
        (tmp_path / "turned").write_bytes(oriented(kind, 6, "LONG", ">"))
        paths = [tmp_path / "turned", Image.open(tmp_path / "turned")]
        first, second = ImagePipeline(PIPELINES["the recipes'"])(paths)
        assert (first["inputs"].float() - second["inputs"].float()).abs().max() <= 4
        assert first["data_samples"].ori_shape == (64, 48)


def test_annotations_are_not_loaded(wide):
    class LoadAnnotations:
        def __call__(self, results):
            raise KeyError("instances")

    (sample,) = ImagePipeline([LOAD, LoadAnnotations(), PACK])(wide)
    assert sample["inputs"].shape == (3, 60, 160)


@pytest.mark.parametrize("edge", ["short", "height"])
def test_very_long_images_are_cropped_before_resizing(edge):
    steps = [LOAD, dict(type="ResizeEdge", scale=256, edge=edge), None, PACK]
    steps[2] = dict(type="CenterCrop", crop_size=224)
    (sample,) = ImagePipeline(steps)(Image.new("RGB", (20000, 1), (3, 2, 1)))
    assert sample["inputs"].shape == (3, 224, 224)
    assert (sample["inputs"] == torch.tensor([1, 2, 3])[:, None, None]).all()


def test_an_image_that_would_fill_the_memory_is_refused():
    pipeline = ImagePipeline([LOAD, dict(type="ResizeEdge", scale=256), PACK])
    with pytest.raises(CorruptImageError, match=r"images\[1\]': too large .*5120000x256 pixels"):
        pipeline([np.zeros((9, 9, 3), np.uint8), Image.new("RGB", (20000, 1))])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "begins with nothing.*LoadImageFromFile"),
        ([PACK], "begins with PackInputs"),
        ([dict(type="mim_plugins.LoadRandomResizedCrop", scale=8), PACK], "LoadRandomResizedCrop"),
        ([LOAD, dict(type="Rezise", scale=3), PACK], "Rezise cannot be built: .*Rezise"),
        ([LOAD, dict(type="Resize", skale=3), PACK], "Resize cannot be built: .*skale"),
        ([dict(LOAD, color_type="unchanged"), PACK], "color_type='unchanged'"),
        ([dict(LOAD, imdecode_backend="tifffile"), PACK], "imdecode_backend='tifffile'"),
    ],
)
def test_unsupported_pipelines_are_refused(steps, message):
    with pytest.raises(ConfigError, match=f"^the test pipeline.*{message}"):
        ImagePipeline(steps)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([LOAD], r"does not return one image .*'inputs'; end it with PackInputs"),
        ([LOAD, lambda results: results["gt_bboxes"]], r"fails for '.*wide\.png' of 160x60 .*gt_b"),
        ([LOAD, lambda results: None], "does not return one image"),
        (
            [LOAD, lambda results: dict(inputs=[torch.zeros(3, 2, 2)] * 2)],
            "does not return one image",
        ),
    ],
)
def test_transforms_that_need_a_data_set_are_named(steps, message, wide):
    with pytest.raises(ConfigError, match=message):
        ImagePipeline(steps)(wide)

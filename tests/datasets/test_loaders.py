"""Order of the colors that loading transforms return."""

import cv2
import mmcv
import numpy as np
import pytest
from mmcv.image.io import supported_backends
from mmcv.transforms import LoadImageFromFile
from mmengine.registry import TRANSFORMS

from mim_plugins.datasets.loaders import returns_bgr
from mim_plugins.datasets.pipelines import image_order
from mim_plugins.transforms import LoadImage, LoadRandomResizedCrop


class Renamed(LoadImageFromFile):
    """Loader without methods."""


class Configured(LoadImageFromFile):
    """Loader with another constructor."""

    def __init__(self):
        super().__init__(to_float32=True)


class Reversed(LoadImageFromFile):
    """Loader that converts the image of its base to RGB."""

    def transform(self, results):
        results = super().transform(results)
        results["img"] = results["img"][..., ::-1]
        return results


class Again(Reversed):
    """Loader without methods whose base converts to RGB."""


class Own(LoadImageFromFile):
    """Loader that decodes by itself."""

    def transform(self, results):
        return results


class Own2(LoadImage):
    """Loader of this package that decodes by itself."""

    def decode(self, data, path=""):
        return data


KINDS = [
    (LoadImageFromFile, True),
    (LoadImage, True),
    (LoadRandomResizedCrop, True),
    (Renamed, True),
    (Configured, True),
    (Reversed, False),
    (Again, False),
    (Own, False),
    (Own2, False),
    (len, False),
    (None, False),
]


@pytest.mark.parametrize(("kind", "expected"), KINDS)
def test_classes_return_bgr_if_they_decode_as_known_ones(kind, expected):
    assert returns_bgr(kind, dict(type=kind)) == expected
    if isinstance(kind, type) and kind is not LoadRandomResizedCrop:
        assert image_order(dict(pipeline=[kind()])) == ("bgr" if expected else None)


def test_registered_names_count_as_their_classes():
    for kind, expected in ((Renamed, True), (Own, False)):
        with_scope = f"mmengine.{kind.__name__}OfTest"
        TRANSFORMS.register_module(name=f"{kind.__name__}OfTest", module=kind, force=True)
        for name in (f"{kind.__name__}OfTest", with_scope):
            assert returns_bgr(name, dict(type=name)) == expected
        del TRANSFORMS.module_dict[f"{kind.__name__}OfTest"]
        assert not returns_bgr(f"{kind.__name__}OfTest", {})


@pytest.mark.parametrize("package", ["mmseg", "mmdet"])
def test_other_loaders_have_an_unknown_order(package):
    loading = pytest.importorskip(f"{package}.datasets.transforms.loading", exc_type=ImportError)
    others = {name for name in vars(loading) if name.startswith("Load")} - {"LoadImageFromFile"}
    assert len(others) > 4
    for name in others:
        for kind in (f"{package}.{name}", name, getattr(loading, name)):
            assert not returns_bgr(kind, dict(type=kind)), name


@pytest.mark.parametrize("backend", supported_backends)
def test_the_order_is_that_of_each_backend_of_mmcv(backend, tmp_path):
    try:
        mmcv.use_backend(backend)
    except ImportError:
        pytest.skip(f"no package of {backend}")
    finally:
        mmcv.use_backend("cv2")
    suffix = dict(turbojpeg="jpg", tifffile="tif").get(backend, "png")
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), red)
    config = dict(type="LoadImageFromFile", imdecode_backend=backend)
    loader = TRANSFORMS.build(config)
    image = loader(dict(img_path=str(tmp_path / f"a.{suffix}")))["img"]
    is_bgr = image[0, 0, 2] > 200
    for given in (config, config | dict(type=LoadImageFromFile), loader):
        assert image_order(dict(pipeline=[given])) == ("bgr" if is_bgr else None)

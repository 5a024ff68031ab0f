import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from image_files import encode, oriented
from mmcv.transforms import LoadImageFromFile, RandomFlip
from mmengine.dataset import default_collate, pseudo_collate
from mmpretrain.datasets.transforms import PackInputs, RandomResizedCrop
from mmpretrain.models import SelfSupDataPreprocessor
from PIL import Image

from mim_plugins.data_preprocessors import MixDataPreprocessor
from mim_plugins.registry import TRANSFORMS
from mim_plugins.transforms import LoadImage, LoadRandomResizedCrop, jpeg_region
from mim_plugins.transforms.load_random_resized_crop import resize_fast
from mim_plugins.transforms.random_crop import sample_crop_box

SIZE = 32
DATA = Path(os.environ.get("MIM_PLUGINS_DATA", "missing"), "imagenet_sample")
needs_decoder = pytest.mark.skipif(not jpeg_region.AVAILABLE, reason="simplejpeg is missing")


def theirs(size=SIZE):
    load = LoadImageFromFile()
    crop = RandomResizedCrop(
        size, crop_ratio_range=(0.2, 1.0), backend="pillow", interpolation="bicubic"
    )
    return lambda results: crop(load(results))


def run(transforms, paths, seed=0):
    """Return packed samples of the files, in turn, with one stream of random numbers."""
    np.random.seed(seed)
    samples = []
    for path in paths:
        results = dict(img_path=str(path))
        for transform in transforms:
            results = transform(results)
        samples.append(results)
    return samples


@pytest.mark.parametrize("flips", [True, False])
def test_the_exact_backend_gives_the_pixels_of_mmpretrain(folder, flips):
    last = [RandomFlip(0.5), PackInputs()]
    load = LoadRandomResizedCrop(SIZE, flip_prob=0.5 if flips else None, backend="exact")

    ours = run([load, *last[flips:]], folder * 3)
    peers = run([theirs(), *last], folder * 3)

    for own, peer in zip(ours, peers, strict=True):
        assert torch.equal(own["inputs"], peer["inputs"])
        assert own["data_samples"].ori_shape == peer["data_samples"].ori_shape
        for key in ("flip", "flip_direction"):
            assert own["data_samples"].get(key) == peer["data_samples"].get(key)


@pytest.mark.parametrize("prob", [0.0, 0.2, 0.9, 1.0])
def test_flips_and_random_state_are_those_of_mmcv(folder, prob):
    ours = run([LoadRandomResizedCrop(SIZE, flip_prob=prob)], folder * 3)
    after = np.random.random()
    peers = run([theirs(), RandomFlip(prob)], folder * 3)

    assert after == np.random.random()
    assert [own["flip"] for own in ours] == [peer["flip"] for peer in peers]


@pytest.mark.parametrize("decoder", [True, False])
def test_the_fast_backend_gives_nearly_these_pixels(folder, decoder, monkeypatch):
    if decoder and not jpeg_region.AVAILABLE:
        pytest.skip("simplejpeg is missing")
    monkeypatch.setattr(jpeg_region, "AVAILABLE", decoder)
    ours = run([LoadRandomResizedCrop(SIZE, flip_prob=0.5), PackInputs()], folder * 3)
    peers = run([theirs(), RandomFlip(0.5), PackInputs()], folder * 3)

    for own, peer in zip(ours, peers, strict=True):
        assert own["inputs"].dtype == torch.uint8
        assert own["inputs"].is_contiguous()
        assert (own["inputs"].float() - peer["inputs"].float()).abs().mean() < 3
        assert own["data_samples"].flip == peer["data_samples"].flip


@pytest.mark.parametrize("backend", ["fast", "exact"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("tag_type", ["SHORT", "LONG"])
@pytest.mark.parametrize("endian", "<>")
def test_images_are_turned_as_by_load_image(tmp_path, backend, kind, tag_type, endian):
    load = LoadRandomResizedCrop((24, 32), (1, 1), (0.1, 10), backend=backend)
    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.image"
        path.write_bytes(oriented(kind, orientation, tag_type, endian))
        whole = LoadImage()(dict(img_path=str(path)))["img"]
        np.random.seed(0)
        found = load(dict(img_path=str(path)))
        np.random.seed(0)
        top, left, height, width = load._sample_box(whole.shape[:2])
        crop = Image.fromarray(whole[top : top + height, left : left + width])
        expected = np.asarray(crop.resize((32, 24), Image.Resampling.BICUBIC))
        assert found["ori_shape"] == whole.shape[:2]
        assert np.abs(found["img"].astype(int) - expected).mean() < 1


@pytest.mark.parametrize("backend", ["fast", "exact"])
@pytest.mark.parametrize("size", [(20000, 1), (1, 20000), (20000, 2)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_very_long_images_take_little_memory(tmp_path, backend, size, kind):
    path = tmp_path / "long"
    path.write_bytes(encode(Image.new("RGB", size, (10, 20, 30)), kind, quality=100))
    load = LoadRandomResizedCrop(224, backend=backend)
    tracemalloc.start()
    image = load(dict(img_path=str(path)))["img"]
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert np.abs(image.astype(int) - [30, 20, 10]).max() <= 2


@needs_decoder
@pytest.mark.skipif(not DATA.is_dir(), reason="MIM_PLUGINS_DATA has no imagenet_sample")
def test_real_photographs_differ_by_less_than_two_levels():
    paths = sorted(DATA.iterdir())[:40]

    ours = run([LoadRandomResizedCrop(224), PackInputs()], paths)
    peers = run([theirs(224), PackInputs()], paths)

    differences = [
        (own["inputs"].float() - peer["inputs"].float()).abs().mean().item()
        for own, peer in zip(ours, peers, strict=True)
    ]
    assert sum(differences) / len(differences) < 1
    assert max(differences) < 8


@pytest.mark.parametrize("backend", ["fast", "exact"])
def test_the_random_state_afterwards_is_that_of_mmpretrain(folder, backend):
    for path in folder:
        run([LoadRandomResizedCrop(SIZE, backend=backend)], [path])
        ours = np.random.random()
        run([theirs()], [path])
        assert ours == np.random.random()


@pytest.mark.parametrize("backend", ["fast", "exact"])
@pytest.mark.parametrize("collate", [default_collate, pseudo_collate])
def test_both_preprocessors_take_its_batches(folder, backend, collate):
    config = dict(mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4])
    loads = LoadRandomResizedCrop(SIZE, backend=backend), theirs()
    ours, peers = (
        collate(run([load, RandomFlip(0.5), PackInputs()], folder[:8])) for load in loads
    )
    tolerance = 0 if backend == "exact" else 8 / 57  # levels of single pixels, normalized
    expected = MixDataPreprocessor(bgr_to_rgb=True, **config)(peers)["inputs"]

    mixed = MixDataPreprocessor(bgr_to_rgb=True, **config)(ours)["inputs"]
    assert mixed.shape == (8, 3, SIZE, SIZE)
    assert (mixed - expected).abs().mean() <= tolerance
    if collate is default_collate:
        batch = SelfSupDataPreprocessor(to_rgb=True, **config)(ours)["inputs"]
        assert torch.equal(batch, mixed)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_fast_resizing_mirrors_exactly_and_gives_planes(channels):
    image = np.random.default_rng(0).integers(0, 256, (40, 50, channels), dtype=np.uint8)

    plain, mirrored = (resize_fast(image[3:30, 5:45], (16, 24), flip) for flip in (False, True))

    pixels = torch.from_numpy(image[3:30, 5:45].copy()).permute(2, 0, 1)[None]
    expected = F.interpolate(pixels, (16, 24), mode="bicubic", antialias=True)[0].numpy()
    assert np.array_equal(plain.transpose(2, 0, 1), expected)
    assert np.array_equal(mirrored, plain[:, ::-1])
    assert plain.transpose(2, 0, 1).flags.c_contiguous
    assert mirrored.transpose(2, 0, 1).flags.c_contiguous


@pytest.mark.parametrize("backend", ["fast", "exact"])
def test_results_do_not_share_memory(folder, backend):
    samples = run([LoadRandomResizedCrop(SIZE, backend=backend)], folder)
    copies = [sample["img"].copy() for sample in samples]

    run([LoadRandomResizedCrop(SIZE, backend=backend)], folder[::-1])

    assert all(np.array_equal(s["img"], c) for s, c in zip(samples, copies, strict=True))


@pytest.mark.parametrize("size", [(64, 512), (128, 512), (512, 64), (96, 96)])
def test_crops_are_diverse_for_images_of_the_shape_of_the_result(size):
    load = LoadRandomResizedCrop(size)
    shape = size[0] * 3, size[1] * 3
    np.random.seed(0)
    boxes = [load._sample_box(shape) for _ in range(50)]
    assert len(set(boxes)) >= 45
    stretch = [box.width / box.height * size[0] / size[1] for box in boxes]
    assert 0.7 < min(stretch) < 0.9
    assert 1.1 < max(stretch) < 1.4


@pytest.mark.parametrize("side", [1, 32, 224])
def test_boxes_of_squares_are_those_of_the_range_itself(side):
    np.random.seed(0)
    expected = [sample_crop_box(375, 500, (0.2, 1.0), (3 / 4, 4 / 3)) for _ in range(20)]
    np.random.seed(0)
    load = LoadRandomResizedCrop((side, side))
    assert [load._sample_box((375, 500)) for _ in range(20)] == expected


def test_the_size_may_be_a_pair(folder):
    for backend in ("fast", "exact"):
        sample = LoadRandomResizedCrop((16, 48), backend=backend)(dict(img_path=str(folder[0])))
        assert sample["img"].shape == (16, 48, 3)
        assert sample["img_shape"] == (16, 48)


def test_a_missing_decoder_is_said(monkeypatch, caplog):
    monkeypatch.setattr(jpeg_region, "AVAILABLE", False)
    messages = []
    monkeypatch.setattr(
        "mim_plugins.transforms.load_random_resized_crop.print_log",
        lambda message, logger: messages.append(message),
    )

    LoadRandomResizedCrop(SIZE)
    assert len(messages) == 1
    assert "mim_plugins[fast]" in messages[0]
    LoadRandomResizedCrop(SIZE, backend="exact")
    assert len(messages) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(backend="cv2"), r"backend='cv2'.*'fast', 'exact'"),
        (dict(check_full_file="twice"), "'twice' must be True, False or 'first_epoch'"),
        (dict(flip_prob=-0.1), "flip_prob=-0.1"),
        (dict(flip_prob=1.1), "flip_prob=1.1"),
        (dict(flip_prob=float("nan")), "flip_prob=nan"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message):
    config = dict(type="mim_plugins.LoadRandomResizedCrop", scale=SIZE)
    assert isinstance(TRANSFORMS.build(config), LoadRandomResizedCrop)
    with pytest.raises(ValueError, match=message):
        LoadRandomResizedCrop(SIZE, **arguments)

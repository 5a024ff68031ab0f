"""LoadRandomResizedCrop on corrupt files, and the setting check_full_file."""

import numpy as np
import pytest
from image_files import corrupt_files, encode, textured

from mim_plugins.errors import CorruptImageError
from mim_plugins.transforms import LoadRandomResizedCrop, jpeg_region

SIZE = 32


@pytest.mark.parametrize("backend", ["fast", "exact"])
@pytest.mark.parametrize("name", corrupt_files())
def test_corruption_is_the_error_of_load_image(tmp_path, name, backend):
    data, kind = corrupt_files()[name]
    path = tmp_path / name
    path.write_bytes(data)
    load = LoadRandomResizedCrop(
        SIZE, crop_ratio_range=(1, 1), backend=backend, check_full_file=True
    )

    with pytest.raises(CorruptImageError, match=f"{kind} ") as error:
        load(dict(img_path=str(path)))
    assert error.value.path == str(path)


@pytest.mark.parametrize("backend", ["fast", "exact"])
def test_a_missing_file_is_an_error_of_that_kind(tmp_path, backend):
    with pytest.raises(CorruptImageError, match=r"missing \(no such file\)"):
        LoadRandomResizedCrop(SIZE, backend=backend)(dict(img_path=str(tmp_path / "no.jpg")))


@pytest.mark.parametrize("backend", ["fast", "exact"])
def test_a_truncated_file_is_noticed_without_to_end(tmp_path, backend):
    path = tmp_path / "cut.jpg"
    path.write_bytes(encode(textured(), "JPEG", quality=95)[:-40])
    load = LoadRandomResizedCrop(SIZE, crop_ratio_range=(0.05, 0.1), backend=backend)

    for seed in range(10):
        np.random.seed(seed)
        with pytest.raises(CorruptImageError, match="truncated"):
            load(dict(img_path=str(path)))


@pytest.fixture
def ends(monkeypatch):
    """Return a list that records for each decoded JPEG region whether it is read to its end."""
    asked = []
    decode = jpeg_region.decode_region

    def decode_region(data, header, box, size, check_full_file):
        asked.append(check_full_file)
        return decode(data, header, box, size, check_full_file)

    monkeypatch.setattr(jpeg_region, "decode_region", decode_region)
    return asked


def test_each_file_is_decoded_to_its_end_until_found_intact(folder, ends):
    load = LoadRandomResizedCrop(SIZE, check_full_file="first_epoch")
    samples = [dict(img_path=str(path), sample_idx=i) for i, path in enumerate(folder)]
    first = run_seeded(load, samples)
    looked_through = len(ends)
    assert all(ends)
    again = run_seeded(load, samples)
    assert not any(ends[looked_through:])
    assert all(np.array_equal(a["img"], b["img"]) for a, b in zip(first, again, strict=True))


def test_once_never_trusts_a_corrupt_file(tmp_path, ends):
    data, _ = corrupt_files()["overwritten.jpg"]
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    load = LoadRandomResizedCrop(SIZE, crop_ratio_range=(0.05, 0.1), check_full_file="first_epoch")
    for _ in range(3):
        with pytest.raises(CorruptImageError):
            load(dict(img_path=str(path), sample_idx=0))
    assert ends == [True] * 3


def test_once_without_an_index_always_decodes_to_the_end(folder, ends):
    load = LoadRandomResizedCrop(SIZE, check_full_file="first_epoch")
    for _ in range(2):
        run_seeded(load, [dict(img_path=str(path)) for path in folder])
    assert all(ends)


def test_data_sets_give_the_index_that_once_needs(folder, ends):
    from mim_plugins.datasets import UnlabeledImageFolder

    transform = dict(
        type="mim_plugins.LoadRandomResizedCrop", scale=SIZE, check_full_file="first_epoch"
    )
    data = UnlabeledImageFolder(data_root=str(folder[0].parent), pipeline=[transform])
    for _ in range(2):
        for index in range(len(data)):
            data[index]
    assert sum(ends) == len(ends) // 2


def run_seeded(load, samples):
    np.random.seed(0)
    return [load(sample) for sample in samples]

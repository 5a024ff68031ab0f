import numpy as np
import pytest
from image_files import damaged_files, good_files
from mmcv.transforms import LoadImageFromFile

from mim_plugins.registry import TRANSFORMS
from mim_plugins.transforms import DamagedImageError, LoadImage


@pytest.mark.parametrize("name", ["rgb.jpg", "turned.jpg", "grey16.png"])
def test_gives_what_the_transform_of_mmcv_gives(tmp_path, name):
    file = tmp_path / name
    file.write_bytes(good_files()[name])

    results = LoadImage()(dict(img_path=str(file), gt_label=3))
    expected = LoadImageFromFile()(dict(img_path=str(file), gt_label=3))

    assert np.array_equal(results.pop("img"), expected.pop("img"))
    assert results == expected


def test_leaves_its_input_alone(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(good_files()["rgb.jpg"])
    given = dict(img_path=str(file))

    LoadImage()(given)

    assert given == dict(img_path=str(file))


def test_is_reachable_from_a_config():
    assert isinstance(TRANSFORMS.build(dict(type="mim_plugins.LoadImage")), LoadImage)


def test_a_missing_file_is_damage(tmp_path):
    with pytest.raises(DamagedImageError, match=r"gone\.jpg': missing") as error:
        LoadImage()(dict(img_path=str(tmp_path / "gone.jpg")))
    assert error.value.kind == "missing"


def test_a_path_that_cannot_be_read_is_damage(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(DamagedImageError, match=r"folder\.jpg': unreadable \(Is a dir"):
        LoadImage()(dict(img_path=str(tmp_path / "folder.jpg")))


def test_damaged_content_names_the_path(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(damaged_files()["half.jpg"][0])
    with pytest.raises(DamagedImageError, match=rf"'{file}': truncated"):
        LoadImage()(dict(img_path=str(file)))

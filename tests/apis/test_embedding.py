"""Features of many images in files."""

import csv
import sys

import numpy as np
import pytest
import torch
from archive_files import class_files, write_archive
from described_encoders import encoder_of
from PIL import Image
from two_processes import in_two_processes

import mim_plugins
from mim_plugins.apis import embedding
from mim_plugins.apis.embedding import embed
from mim_plugins.errors import ConfigError, DataNotFoundError


@pytest.fixture
def folder(tmp_path):
    """Seven images in two folders, of several sizes, and two that are corrupt."""
    generator = np.random.default_rng(0)
    for number in range(7):
        path = tmp_path / "images" / f"{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 255, (40 + number, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    (tmp_path / "images/0/3b.png").write_bytes(b"\x89PNG")
    (tmp_path / "images/1/9.jpg").write_bytes(b"")
    return tmp_path / "images"


@pytest.fixture(scope="module")
def encoder():
    return encoder_of("vit")


def names_and_features(encoder, folder):
    paths = sorted(folder.rglob("?.png"), key=lambda path: (path.parent.name, path.name))
    return [str(path) for path in paths], mim_plugins.extract_features(encoder, paths)


def test_numpy_file_has_paths_and_all_kinds(encoder, folder, tmp_path):
    seen = []
    done = embed(
        *(encoder, folder, tmp_path / "new/a.npz", ("pooled", "cls", "map"), 2),
        progress=lambda *numbers: seen.append(numbers),
    )
    names, expected = names_and_features(encoder, folder)
    with np.load(done.path) as file:
        assert file["paths"].tolist() == names
        np.testing.assert_allclose(file["features"], expected.pooled, atol=1e-6)
        np.testing.assert_allclose(file["maps"], expected.maps[-1], atol=1e-6)
        assert file["cls"].shape == file["features"].shape
        assert not np.allclose(file["cls"], file["features"])
    assert seen == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]
    assert done.shapes == dict(pooled=(16,), cls=(16,), map=(16, 6, 6))
    assert [name.rpartition("/")[2] for name in done.corrupt] == ["3b.png", "9.jpg"]
    rows = list(csv.reader((tmp_path / "new/a.npz.corrupt.csv").open()))
    assert rows == [["path", "error"], *map(list, done.corrupt.items())]
    assert sorted(p.name for p in done.path.parent.iterdir()) == ["a.npz", "a.npz.corrupt.csv"]


def test_csv_has_a_line_per_image(encoder, folder, tmp_path):
    embed(encoder, folder, tmp_path / "a.csv", ("cls", "pooled"))
    names, expected = names_and_features(encoder, folder)
    head, *lines = csv.reader((tmp_path / "a.csv").open())
    assert head[:2] + head[17:18] == ["path", "cls_0", "feature_0"]
    assert [line[0] for line in lines] == names
    found = np.array([line[17:] for line in lines], dtype=np.float32)
    np.testing.assert_allclose(found, expected.pooled, atol=1e-6)


def test_parquet_has_a_row_per_image(encoder, folder, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    embed(encoder, folder, tmp_path / "a.parquet", ("pooled", "map"))
    names, expected = names_and_features(encoder, folder)
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table["path"].to_pylist() == names
    np.testing.assert_allclose(table["features"].to_pylist(), expected.pooled, atol=1e-6)
    assert table.schema.field("maps").metadata == {b"shape": b"16x6x6"}
    maps = np.array(table["maps"].to_pylist(), dtype=np.float32).reshape(-1, 16, 6, 6)
    np.testing.assert_allclose(maps, expected.maps[-1], atol=1e-6)


def in_a_process(rank, encoder, folder, out):
    done = embed(encoder, folder, out, ("pooled", "cls"), 2)
    return done.images, list(done.corrupt)


def test_two_processes_write_the_file_of_one(encoder, folder, tmp_path):
    done = embed(encoder, folder, tmp_path / "one.npz", ("pooled", "cls"), 2)
    codes, returned = in_two_processes(in_a_process, encoder, folder, tmp_path / "two.npz")
    assert codes == [0, 0]
    assert returned[0] == returned[1] == (7, list(done.corrupt))
    with np.load(done.path) as one, np.load(tmp_path / "two.npz") as two:
        assert one["paths"].tolist() == two["paths"].tolist()
        for name in ("features", "cls"):
            np.testing.assert_allclose(one[name], two[name], atol=1e-6)
    assert not list(tmp_path.glob(".*"))


def test_loading_processes_change_nothing(encoder, folder, tmp_path):
    one = embed(encoder, folder, tmp_path / "one.npz")
    two = embed(encoder, folder, tmp_path / "two.npz", workers=1)
    assert one.corrupt == two.corrupt
    with np.load(one.path) as first, np.load(two.path) as second:
        np.testing.assert_array_equal(first["features"], second["features"])


def test_later_call_replaces_both_files(encoder, folder, tmp_path):
    embed(encoder, folder, tmp_path / "a.npz")
    done = embed(encoder, [folder / "0/0.png"], tmp_path / "a.npz")
    assert done.images == 1
    assert not list(tmp_path.glob("*.corrupt.csv"))


@pytest.mark.parametrize(
    ("name", "features", "message"),
    [
        ("a.txt", ["pooled"], r"must end in one of .npz .csv .parquet"),
        ("a.csv", ["map"], "CSV has no place for maps"),
        ("a.npz", [], r"must be of pooled, cls, map"),
        ("a.npz", ["pixels"], r"pixels must be of pooled"),
    ],
)
def test_wrong_requests_are_one_line(encoder, folder, tmp_path, name, features, message):
    with pytest.raises(ConfigError, match=message):
        embed(encoder, folder, tmp_path / name, features)
    assert not list(tmp_path.glob("*a.*"))


def test_encoders_without_such_features_are_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"MaskedPVT has no \[CLS\] token"):
        embed(encoder_of("pvt"), folder, tmp_path / "a.npz", ["cls"])
    with pytest.raises(ConfigError, match=r"window_size=3 has a \[CLS\] token per window"):
        embed(encoder_of("vit", window_size=3), folder, tmp_path / "a.npz", ["cls"])
    with pytest.raises(ConfigError, match="returns no maps"):
        embed(encoder_of("vit", out_type="avg_featmap"), folder, tmp_path / "a.npz", ["map"])
    assert not list(tmp_path.glob("*a.npz*"))


def test_images_and_folders_are_not_overwritten(encoder, tmp_path):
    data = write_archive(tmp_path / "a.parquet", class_files(), "parquet")
    content = data.read_bytes()
    (tmp_path / "link.parquet").symlink_to(data)
    (tmp_path / "folder.npz").mkdir()
    for out in (data, tmp_path / "link.parquet"):
        with pytest.raises(ConfigError, match="is one of the images or archives to read"):
            embed(encoder, [data], out)
    with pytest.raises(ConfigError, match="is a folder; give the name of a file"):
        embed(encoder, [data], tmp_path / "folder.npz")
    assert data.read_bytes() == content


def test_no_readable_image_is_an_error(encoder, tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "kept.npz").write_bytes(b"kept")
    with pytest.raises(DataNotFoundError, match=r"none of 2 images can be read: .*a\.png"):
        embed(encoder, [tmp_path / "a.png", tmp_path / "b.png"], tmp_path / "kept.npz")
    assert (tmp_path / "kept.npz").read_bytes() == b"kept"


def test_missing_pyarrow_is_named(encoder, folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'mim_plugins\[parquet\]'"):
        embed(encoder, folder, tmp_path / "a.parquet")


@pytest.mark.parametrize("is_finite", [True, False])
def test_features_that_are_not_finite_are_counted(folder, tmp_path, monkeypatch, is_finite):
    encoder = encoder_of("vit")
    if not is_finite:
        torch.nn.init.constant_(next(encoder.parameters()), float("inf"))
    messages = []
    monkeypatch.setattr(embedding, "print_log", lambda text, **_: messages.append(text))
    done = embed(encoder, folder, tmp_path / "a.npz", ("pooled", "cls"))
    assert done.non_finite == (0 if is_finite else 7)
    assert ["7 of 7 images in" in each for each in messages] == [True] * (not is_finite)

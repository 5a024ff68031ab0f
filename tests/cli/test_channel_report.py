import pytest
from archive_files import class_files, write_archive
from band_images import write_scenes
from image_folders import write_images

from mim_plugins.cli.channel_report import report, short
from mim_plugins.cli.main import main
from mim_plugins.datasets.channel_statistics import channel_statistics

pytest.importorskip("tifffile")


def test_report_has_a_row_per_channel_and_lines_of_a_config(tmp_path, capsys):
    folder = write_scenes(tmp_path / "a", 3, bands=4)
    main(["statistics", str(folder), "--channels", "4"])
    printed = capsys.readouterr().out.splitlines()
    measured = channel_statistics(sorted(map(str, folder.iterdir())), dict(channels=4))
    assert printed == report(measured)
    assert printed[0].startswith("3 images, short side 40 px (median), 0.00% of the values")
    namespace = {}
    exec("\n".join(printed[-2:]), namespace)
    assert namespace["pixel_mean"] == pytest.approx(measured.mean, rel=1e-6)
    assert namespace["pixel_std"] == short(measured.std)


def test_colors_and_limits_are_measured_like_the_recipes_read(tmp_path, capsys):
    folder = write_images(tmp_path, 5)
    main(["statistics", str(folder), "--max-images", "2"])
    assert capsys.readouterr().out.startswith("2 images")


def test_archives_and_lists_are_measured_like_folders(tmp_path, capsys):
    write_archive(tmp_path / "a.zip", class_files(), "zip")
    (tmp_path / "list.txt").write_text("a.zip::a/0.png\na.zip::a/1.png\n")
    main(["statistics", str(tmp_path / "a.zip")])
    main(["statistics", str(tmp_path / "list.txt")])
    first, second = capsys.readouterr().out.split("2 images, ")
    assert "4 images, " in first
    assert second.startswith("short side 40 px")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("empty",), "error: no images in 'empty' (looked for"),
        (("none.tif",), "error: data: no image can be read: corrupt image 'none.tif': missing"),
        (("a", "--channels", "3"), "error: data: 3 of 3 images have another number of bands"),
        (("a", "--channels", "0"), "error: bands: channels=0 must be a number of bands"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_scenes(tmp_path / "a", 3, bands=4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as stop:
        main(["statistics", *arguments])
    assert str(stop.value.code).startswith(message)
    assert len(str(stop.value.code).splitlines()) == 1


def test_unreadable_images_are_reported_after_the_others(tmp_path, capsys):
    folder = write_scenes(tmp_path / "a", 2, bands=4)
    (folder / "x.tif").write_bytes(b"II*\0")
    with pytest.raises(SystemExit, match="error: 1 image cannot be read"):
        main(["statistics", str(folder), "--channels", "4"])
    assert capsys.readouterr().out.startswith("2 images")

from argparse import Namespace
from pathlib import Path

import pytest
import torch
from archive_files import class_files, write_archive
from image_folders import write_images

from mim_plugins.apis import get_model
from mim_plugins.cli import reconstruction_picture
from mim_plugins.cli.reconstruction_picture import draw_reconstructions, images_of


def test_files_folders_lists_and_archives_keep_their_order(tmp_path):
    write_images(tmp_path / "b", 2)
    write_images(tmp_path / "a", 1)
    write_archive(tmp_path / "c.zip", class_files(), "zip")
    (tmp_path / "list.txt").write_text("a/00.jpg\n")
    given = [str(tmp_path / name) for name in ("c.zip", "b", "list.txt", "b/01.jpg")]
    found = images_of(given)
    archived, others = found[:-4], found[-4:]
    assert archived == images_of(given[:1]) != []
    assert others == [str(tmp_path / n) for n in ("b/00.jpg", "b/01.jpg", "a/00.jpg", "b/01.jpg")]


@pytest.mark.parametrize("name", ["none.png", "line\nbreak.png", "empty", "text"])
def test_a_path_without_images_is_one_line(tmp_path, name):
    (tmp_path / "empty").mkdir()
    write_images(tmp_path / "text", 1, suffix="png")
    suffixes = [".jpg"]  # of other files than those in the folder
    with pytest.raises(FileNotFoundError) as raised:
        images_of([str(tmp_path / name)], suffixes)
    assert "\n" not in str(raised.value)


def test_limited_images_are_spread_over_the_folder(tmp_path, monkeypatch, capsys):
    """Images are chosen evenly, because the first sorted files all belong to one class."""
    chosen = []

    def note(model, files, seed):
        chosen.extend(Path(file).name for file in files)
        picture = torch.zeros(len(files), 3, 16, 16, dtype=torch.uint8)
        return dict(original=picture, reconstruction=picture)

    monkeypatch.setattr(reconstruction_picture, "reconstruct", note)
    images, out = write_images(tmp_path / "images", 12), tmp_path / "new/picture.png"
    model = get_model("quickstart/mixmae_digits")
    monkeypatch.setattr(reconstruction_picture, "get_model", lambda *_: model)
    capsys.readouterr()
    draw_reconstructions(
        Namespace(
            config="", checkpoint="", device="cpu", no_teachers=False, cfg_options={}, seed=0,
            images=[str(images)], max_images=4, out=str(out),
        )
    )  # fmt: skip
    assert chosen == sorted(file.name for file in images.iterdir())[::3]
    assert out.is_file()
    assert capsys.readouterr().out == f"4 images, 2 panels each: {out}\n"

import errno
import json
import shutil

import numpy as np
import pytest
from disks import small_disk
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.visualization import LocalVisBackend
from mmengine.visualization.vis_backend import BaseVisBackend, TensorboardVisBackend, force_init_env

from mim_plugins.engine.guards import GuardedVisBackend

IMAGE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)


class FakeBackend(BaseVisBackend):
    """Backend like those of WandB or MLflow, whose calls may raise their own exceptions."""

    def __init__(self, error=None):
        super().__init__("nowhere")
        self.error = error
        self.calls = []

    def _init_env(self):
        self.calls.append("init")

    @property
    @force_init_env
    def experiment(self):
        return self.calls

    def _record(self, *arguments, **_):
        self.calls.append(arguments[0] if arguments else "call")
        if self.error:
            raise self.error

    add_config = add_graph = add_image = add_scalar = add_scalars = close = _record


@pytest.fixture
def guard(tmp_path):
    return lambda backend: GuardedVisBackend(backend, MMLogger(str(tmp_path), "test"))


def call_all(guarded):
    guarded.add_config(Config(dict(a=1)))
    guarded.add_scalar("b", 1.0, step=2)
    guarded.add_scalars(dict(c=1.0), step=3)
    guarded.add_image("d", IMAGE, step=4)


@pytest.mark.parametrize("error", [RuntimeError("no network"), KeyError("x"), OSError(5, "io")])
def test_errors_after_the_first_success_are_logged_once(guard, capsys, error):
    guarded = guard(FakeBackend())
    call_all(guarded)
    guarded._backend.error = error
    call_all(guarded)
    guarded.close()
    out = capsys.readouterr().out
    for what in ("the config", "a scalar", "a picture"):
        assert out.count(f"{what} of FakeBackend could not be written") == 1
    guarded._backend.error = None
    call_all(guarded)
    assert "can be written again" in capsys.readouterr().out
    assert guarded._backend.calls[-1] == "d"


def test_setup_errors_propagate_but_write_errors_do_not(guard):
    with pytest.raises(ImportError, match="pip install wandb"):
        guard(FakeBackend(ImportError("pip install wandb"))).add_config(Config())
    guard(FakeBackend(OSError(errno.ENOSPC, "full"))).add_config(Config())


def test_other_attributes_are_those_of_the_backend(guard):
    guarded = guard(FakeBackend())
    assert guarded.experiment is guarded._backend.calls
    assert guarded.calls == ["init"]


@pytest.mark.parametrize("relative", [False, True])
def test_removed_folder_is_recreated(guard, tmp_path, monkeypatch, relative):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run/vis"
    guarded = guard(LocalVisBackend("run/vis" if relative else str(folder)))
    call_all(guarded)
    shutil.rmtree(tmp_path / "run")
    call_all(guarded)
    assert [json.loads(x) for x in (folder / "scalars.json").read_text().splitlines()] == [
        dict(b=1.0, step=2),
        dict(c=1.0, step=3),
    ]
    assert (folder / "vis_image/d_4.png").is_file()
    assert (folder / "config.py").is_file()


def test_full_disk_loses_only_what_was_written_meanwhile(guard, tmp_path, capsys):
    with small_disk(tmp_path / "disk", "2m") as disk:
        guarded = guard(LocalVisBackend(str(disk.folder / "vis")))
        call_all(guarded)
        disk.fill()
        for step in range(5, 60):
            guarded.add_scalars(dict(c=1.0), step=step)
            guarded.add_image("d", IMAGE, step=step)
        disk.make_room()
        guarded.add_scalars(dict(c=2.0), step=60)
        guarded.add_image("d", IMAGE, step=60)
        scalars = (disk.folder / "vis/scalars.json").read_text().splitlines()
        pictures = {file.name for file in (disk.folder / "vis/vis_image").iterdir()}
    out = capsys.readouterr().out
    assert out.count("a picture of LocalVisBackend could not be written") == 1
    assert out.count("a scalar of LocalVisBackend could not be written") <= 1
    assert json.loads(scalars[-1]) == dict(c=2.0, step=60)
    assert {"d_4.png", "d_60.png"} <= pictures
    assert len(pictures) < 10


def test_picture_that_opencv_fails_to_write_is_reported(guard, tmp_path, capsys):
    guarded = guard(LocalVisBackend(str(tmp_path)))
    guarded.add_image("no_such_folder/d", IMAGE)
    assert "no_such_folder/d_0.png' is incomplete" in capsys.readouterr().out


def test_tensorboard_writer_is_recreated_after_a_failure(guard, tmp_path, monkeypatch):
    writers = []

    class Writer:
        def __init__(self):
            self.broken = False
            self.scalars = []
            writers.append(self)

        def add_scalar(self, name, value, step):
            if self.broken:  # permanently, because the thread of the real writer has ended
                raise OSError(errno.ENOSPC, "full")
            self.scalars.append(step)

        def close(self):
            pass

    def init(self):
        self._tensorboard = Writer()

    monkeypatch.setattr(TensorboardVisBackend, "_init_env", init)
    folder = tmp_path / "vis"
    folder.mkdir()
    guarded = guard(TensorboardVisBackend(str(folder)))
    guarded.add_scalar("a", 1.0, 1)
    writers[0].broken = True
    guarded.add_scalar("a", 1.0, 2)
    guarded.add_scalar("a", 1.0, 3)
    folder.rmdir()
    guarded.add_scalar("a", 1.0, 4)
    assert folder.is_dir()
    assert [writer.scalars for writer in writers] == [[1], [3], [4]]

import logging
import re
from types import SimpleNamespace

import pytest
from mmengine.hooks import CheckpointHook

from mim_plugins.engine.resume.checkpoint_names import (
    check_template,
    checkpoint_folder,
    template_pattern,
)
from mim_plugins.errors import ConfigError


@pytest.mark.parametrize(
    "template", ["epoch_{}.pth", "swin.{:04d}.pth", "a b_{0}.pth", "{}.pth", "my_timed_{}.pth"]
)
def test_numbered_names_are_accepted_and_recognized(template):
    check_template(template)
    for number in (0, 7, 123456):
        assert re.fullmatch(template_pattern(template), template.format(number))
    assert not re.fullmatch(template_pattern(template), "other_7.pth")


@pytest.mark.parametrize(
    "template",
    [
        "latest.pth",
        "iter_{}.ckpt",
        "iter_{}",
        "sub/iter_{}.pth",
        "sub\\iter_{}.pth",
        "{}_{}.pth",
        "{step}.pth",
        "iter_{!s:.1}.pth",
        "iter_{:4}.pth",
        " iter_{}.pth",
        "iter\n_{}.pth",
        "iter_{.pth",
        "{{}}.pth",
        7,
    ],
)
def test_names_that_resume_would_not_find_are_refused(template):
    with pytest.raises(ConfigError, match=r"filename_tmpl=.* must be a name that contains \{\}"):
        check_template(template)


def test_names_of_files_by_time_are_refused():
    with pytest.raises(ConfigError, match=r"describes timed_1\.pth, a file of TimedCheckpointHook"):
        check_template("timed_{}.pth")


@pytest.mark.parametrize(
    ("out_dir", "place"),
    [
        (lambda folder: None, "run"),
        (lambda folder: f"{folder}/run", "run"),
        (lambda folder: f"{folder}/run/", "run/run"),
        (lambda folder: folder / "run", "run/run"),
        (lambda folder: f"{folder}/out", "out/run"),
    ],
)
def test_folder_is_that_in_which_mmengine_saves(tmp_path, out_dir, place):
    hook = CheckpointHook(out_dir=out_dir(tmp_path))
    run = SimpleNamespace(work_dir=str(tmp_path / "run"), logger=logging.getLogger())
    expected = checkpoint_folder(run.work_dir, hook.out_dir)
    hook.before_train(run)
    assert str(expected) == hook.out_dir == str(tmp_path / place)

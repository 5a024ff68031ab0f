import argparse

import pytest

from mim_plugins.cli.run_arguments import (
    add_own_run_arguments,
    add_run_arguments,
    add_train_arguments,
)


def parse(add, *arguments):
    parser = argparse.ArgumentParser()
    add(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("given", "resume"), [((), None), (("--resume",), "auto"), (("--resume", "a.pth"), "a.pth")]
)
def test_resume_may_have_a_file(given, resume):
    assert parse(add_train_arguments, "c.py", *given).resume == resume


@pytest.mark.parametrize("spelling", ["--local_rank", "--local-rank"])
def test_launchers_of_all_versions_give_the_local_rank(spelling):
    args = parse(add_run_arguments, f"{spelling}=3", "c.py", "--launcher", "pytorch")
    assert args.local_rank == 3


def test_settings_are_those_of_the_config_unless_given():
    names = ("img_size", "batch_size", "epochs", "checkpoint", "data_root", "work_dir")
    args = parse(add_train_arguments, "c.py")
    assert [getattr(args, name) for name in names] == [None] * 6
    given = parse(
        add_train_arguments, "c.py", "--img-size", "192x256", "--epochs", "3", "--batch-size", "8"
    )
    assert (given.img_size, given.epochs, given.batch_size) == ((192, 256), 3, 8)


def test_own_runs_have_lengths_and_a_folder():
    def add(parser):
        add_own_run_arguments(parser, "work_dirs/DATA")

    args = parse(add, "--epochs", "5", "--out", "x")
    assert (args.epochs, args.batch_size, args.out, args.overwrite) == (5, None, "x", False)
    parser = argparse.ArgumentParser()
    add(parser)
    assert "(default: work_dirs/DATA)" in parser.format_help()

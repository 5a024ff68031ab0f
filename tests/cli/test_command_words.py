import pytest

from mim_plugins.cli import status
from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.commands import reconstruct
from mim_plugins.cli.main import main


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("--work-dir=~/runs/a b", "--work-dir=/home/me/runs/a b"),
        ("--out=~", "--out=/home/me"),
        ("~/photos:2", "/home/me/photos:2"),
        ("a~/b", "a~/b"),
        ("--out=a~/b", "--out=a~/b"),
        ("--keys=a=~/b", "--keys=a=~/b"),
        ("filename_tmpl=~{}.pth", "filename_tmpl=~{}.pth"),
        ("~of_no_user/x", "~of_no_user/x"),
        ("", ""),
    ],
)
def test_home_folder_is_expanded_at_the_start_of_a_value(word, expanded):
    assert command_words([word]) == [expanded]


def test_words_are_those_of_the_process_by_default(monkeypatch):
    monkeypatch.setattr("sys.argv", ["tool.py", "~/a", "b"])
    assert command_words() == ["/home/me/a", "b"]


def test_commands_read_paths_in_the_home_folder(monkeypatch):
    given = []
    monkeypatch.setattr(status, "print_status", lambda *values: given.append(values))
    main(["status", "~/runs/a"])
    monkeypatch.setattr(reconstruct, "run", lambda args, _: given.append(args.out))
    main(["reconstruct", "x", "y", "z", "--out=~/p.png"])
    assert given == [("/home/me/runs/a", False), "/home/me/p.png"]

import pytest

from mim_plugins.cli import knn_table
from mim_plugins.cli.main import main


@pytest.fixture
def given(monkeypatch):
    given = []
    monkeypatch.setattr(knn_table, "print_knn_table", given.append)
    return given


@pytest.mark.parametrize("weights", [["w.pth"], ["--random"]])
def test_weights_are_those_of_a_file_or_random(given, weights):
    main(["knn", "c.py", *weights, "--k", "1", "5"])
    (args,) = given
    assert (args.checkpoint or "--random") == weights[0]
    assert (args.k, args.precision, args.max_references) == ([1, 5], "float32", None)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "give either a checkpoint or --random"),
        (["w.pth", "--random"], "give either a checkpoint or --random"),
        (["w.pth", "--precision", "int8"], "--precision int8 is not one of"),
    ],
)
def test_wrong_options_are_refused_before_any_work(given, wrong, message, capsys):
    with pytest.raises(SystemExit):
        main(["knn", "c.py", *wrong])
    assert message in capsys.readouterr().err
    assert given == []

from argparse import Namespace

import pytest

from mim_plugins.cli.knn_table import read_run_config, usable_ks
from mim_plugins.errors import DataNotFoundError

PRETRAINING = "train_dataloader = dict(dataset=dict(type='A', data_root='a'))\n"
CLASSIFICATION = """
train_dataloader = dict(dataset=dict(type='CustomDataset', data_root='a'))
val_dataloader = dict(dataset=dict(type='CustomDataset', data_root='a'))
"""


@pytest.fixture
def arguments(tmp_path):
    """Return a function that writes a config, and returns the arguments of a command."""

    def write(text, data_root=None, options=()):
        (tmp_path / "run.py").write_text(text)
        return Namespace(
            config=str(tmp_path / "run.py"), data_root=data_root, cfg_options=dict(options)
        )

    return write


def test_neighbors_above_the_references_are_left_out(capsys):
    assert usable_ks([20, 5, 100, 20], 30, 0.07) == [20, 5, 20]
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "k=100 is left out: the data set has only 30 reference images"


@pytest.mark.parametrize(("ks", "temperature"), [([40, 50], 0.07), ([0, 5], 0.07), ([5], 0.0)])
def test_numbers_without_a_result_are_refused(ks, temperature, capsys):
    with pytest.raises(ValueError, match=r"k-NN: (k|temperature)="):
        usable_ks(ks, 30, temperature)
    assert capsys.readouterr().out == ""


def test_a_folder_of_classes_leaves_the_pretraining_data(arguments):
    args = arguments(PRETRAINING, data_root="b")
    cfg = read_run_config(args)
    assert (cfg.train_dataloader.dataset.data_root, args.data_root) == ("a", "b")
    args = arguments(PRETRAINING, options=dict(data_root="c"))
    assert read_run_config(args).train_dataloader.dataset.data_root == "a"
    assert args.data_root == "c"


@pytest.mark.parametrize("scope", ["", "default_scope = 'mmpretrain'\n"])
def test_classification_data_follow_the_data_root(arguments, tmp_path, scope):
    cfg = read_run_config(arguments(scope + CLASSIFICATION, str(tmp_path)))
    assert cfg.val_dataloader.dataset.data_root == str(tmp_path)
    assert cfg.val_dataloader.dataset.type == "mim_plugins.LabeledImageFolder"
    with pytest.raises(DataNotFoundError, match="there is no data folder"):
        read_run_config(arguments(CLASSIFICATION, str(tmp_path / "nowhere")))

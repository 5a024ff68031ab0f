import pytest
import torch

from mim_plugins.checkpoints import trained_classes


@pytest.mark.parametrize("kind", [tuple, list])
def test_class_names_of_the_training_set_are_read(tmp_path, kind):
    meta = dict(epoch=1, dataset_meta=dict(classes=kind(["a", "b"])))
    torch.save(dict(meta=meta, state_dict={"x": torch.ones(1)}), tmp_path / "a.pth")
    assert trained_classes(tmp_path / "a.pth") == ("a", "b")


@pytest.mark.parametrize(
    "content",
    [
        {},
        [1, 2],
        dict(meta=None),
        dict(meta=dict(dataset_meta=None)),
        dict(meta=dict(dataset_meta=dict(classes=None))),
        dict(meta=dict(dataset_meta=dict(classes="abc"))),
        dict(meta=dict(dataset_meta=dict(classes=[1, 2]))),
        dict(meta=dict(dataset_meta=dict(classes=dict(a=1)))),
    ],
)
def test_files_without_class_names_return_none(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    assert trained_classes(tmp_path / "a.pth") is None


def test_unreadable_files_return_none(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"nonsense")
    assert trained_classes(tmp_path / "a.pth") is None
    assert trained_classes(tmp_path / "none.pth") is None


class Code:
    def __reduce__(self):
        return print, ("executed",)


def test_code_in_a_file_is_not_run(tmp_path, capsys):
    meta = dict(dataset_meta=dict(classes=("a",)), config=Code())
    torch.save(dict(meta=meta), tmp_path / "a.pth")
    assert trained_classes(tmp_path / "a.pth") is None
    assert "executed" not in capsys.readouterr().out

from types import SimpleNamespace

import pytest
from image_folders import flatten_val, write_classes
from mmengine.evaluator import Evaluator
from tiny_run import toy_runner
from validated_run import FINITE, Classifier, Loss, Seen

from mim_plugins.cli.pretraining.run_results import _data_folder, write_results
from mim_plugins.datasets import LabeledImageFolder, UnlabeledImageFolder


@pytest.mark.parametrize(
    "checkpoint", [{}, dict(save_optimizer=False), dict(out_dir="out"), dict(interval=-1)]
)
def test_complete_run_ends_with_its_summary(tmp_path, capsys, checkpoint):
    """The data set is of no library, so its folder is unknown."""
    if "out_dir" in checkpoint:
        checkpoint = dict(out_dir=str(tmp_path / "out"))
    seen = Seen(None)
    runner = toy_runner(
        tmp_path / "run",
        Classifier(),
        checkpoint=checkpoint | dict(save_last="interval" not in checkpoint),
        hooks=[seen],
        val_dataloader=FINITE,
        val_cfg=dict(),
        val_evaluator=Evaluator(Loss(seen)),
    )
    runner.train()
    results = write_results(runner, tmp_path / "run.py")
    output = capsys.readouterr().out
    if "interval" in checkpoint:
        assert results.checkpoint is None
        assert "Next:" not in output
    else:
        assert results.checkpoint.name == "iter_4.pth"
        assert f"run.py {results.checkpoint} IMAGES" in output
    assert str(results.config) in output


def test_next_commands_find_the_images_of_a_list(tmp_path):
    flatten_val(write_classes(tmp_path, "ab"))
    (tmp_path / "list.txt").write_text("train/a/00.png\n")
    for dataset, expected in (
        (LabeledImageFolder(str(tmp_path), data_prefix="val"), tmp_path / "val"),
        (LabeledImageFolder(str(tmp_path), data_prefix="train"), tmp_path / "train"),
        (UnlabeledImageFolder(str(tmp_path), ann_file="list.txt"), tmp_path / "list.txt"),
    ):
        assert _data_folder(SimpleNamespace(dataset=dataset)) == str(expected)

"""Data of KNNHook: defaults, channels, corrupt images, and errors before the training."""

from types import SimpleNamespace

import pytest
import torch
from archive_files import write_archive
from image_folders import flatten_val
from knn_runs import make_config, make_hook, prepared, records
from mmcv.transforms import Normalize
from mmengine.runner import Runner
from tiny_run import MIXMAE

from mim_plugins.data_preprocessors import MixDataPreprocessor
from mim_plugins.engine.hooks import KNNHook
from mim_plugins.engine.hooks.knn_hook import _complete_datasets
from mim_plugins.errors import ConfigError, CorruptImageError, DataNotFoundError

pytest.importorskip("mmpretrain", exc_type=ImportError)
pytestmark = pytest.mark.usefixtures("mmpretrain_scope")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (dict(k=19), ValueError, r"k=\(19,\).*which is 18"),
        (dict(queries=dict(data_prefix="test")), DataNotFoundError, "no labeled images.*test"),
        (
            dict(references=dict(type="mim_plugins.UnlabeledImageFolder")),
            ValueError,
            "UnlabeledImageFolder.*no labels",
        ),
        (dict(queries=dict(data_prefix="")), ValueError, "classes"),
    ],
)
def test_wrong_data_is_rejected_before_the_first_iteration(root, changes, error, message):
    runner = Runner.from_cfg(make_config(root, hook=make_hook(**changes)))

    with pytest.raises(error, match=message):
        runner.train()
    assert runner.iter == 0


def test_flat_validation_images_are_the_default_queries(root):
    expected = prepared(root)[1]._loaders[1].dataset
    labels = [int(sample["data_samples"].gt_label) for sample in expected]
    _, hook = prepared(flatten_val(root))
    found = [int(sample["data_samples"].gt_label) for sample in hook._loaders[1].dataset]
    assert found == labels


def gray_config(root, **changes):
    """Return the config of a run that reads colors as gray."""
    one = dict(mean=[118.0], std=[60.0], bgr_to_rgb=False)
    model = MIXMAE | dict(
        backbone=MIXMAE["backbone"] | dict(in_channels=1),
        data_preprocessor=MIXMAE["data_preprocessor"] | one,
    )
    config = make_config(root, hook=make_hook(**changes), model=model, epochs=1)
    config.train_dataloader.dataset.pipeline[0].color_type = "grayscale"
    return config


@pytest.mark.parametrize("kind", [None, "tar"])
def test_gray_models_are_evaluated_on_gray_images(root, tmp_path, kind):
    changes = {}
    if kind:
        files = {
            f"train/{path.parent.name}/{path.name}": path.read_bytes()
            for path in (root / "train").rglob("*.png")
        }
        write_archive(tmp_path / "labeled/train.tar", files, kind)
        changes["references"] = dict(data_root=str(tmp_path / "labeled"), data_prefix="train")
    Runner.from_cfg(gray_config(root, **changes)).train()
    (logged,) = [r for r in records(tmp_path / "run") if "knn_top1" in r]
    assert logged["knn_top1"] > 50


def test_pipelines_of_other_channels_are_rejected_early(root):
    load, pack = dict(type="LoadImageFromFile"), dict(type="PackInputs")
    queries = dict(data_prefix="val", pipeline=[load, pack])
    runner = Runner.from_cfg(gray_config(root, queries=queries))
    with pytest.raises(ConfigError, match=r"KNNHook: queries: images of the shape \(3, 32, 32\)"):
        runner.train()
    assert runner.iter == 0


def test_unreadable_data_are_rejected_before_training(root):
    for file in (root / "val").rglob("*.png"):
        file.write_bytes(b"x")
    runner = Runner.from_cfg(make_config(root, hook=make_hook()))
    with pytest.raises(CorruptImageError, match="9 successive corrupt images"):
        runner.train()
    assert runner.iter == 0


def test_corrupt_images_are_skipped(root, tmp_path):
    (root / "train/red/00.png").write_bytes(b"x")
    (root / "val/blue/01.png").write_bytes(b"")
    config = make_config(root, hook=make_hook())
    config.train_dataloader.dataset |= dict(on_corrupt="replace")
    config.train_dataloader.dataset.pipeline[0].type = "mim_plugins.LoadImage"
    config.log_level = "INFO"
    Runner.from_cfg(config).train()

    (log,) = (tmp_path / "run").glob("*/*.log")
    text = log.read_text()
    assert text.count("17 references, 8 queries") == 2
    assert "1 of 18 images are left out: corrupt image" in text
    assert "red/00.png" in text
    assert "blue/01.png" in text
    assert len([r for r in records(tmp_path / "run") if "knn_top1" in r]) == 2


def test_too_few_readable_images_skip_the_evaluation(root, tmp_path):
    runner, hook = prepared(root)
    for number, left in enumerate((2, 0)):
        for file in sorted((root / "train").rglob("*.png"))[left:]:
            file.write_bytes(b"x")
        hook.act(runner, 1)
        (log,) = (tmp_path / "run").glob("*/*.log")
        assert log.read_text().count("k-NN evaluation skipped") == number + 1
        assert "knn/knn_top1" not in runner.message_hub.log_scalars


@pytest.mark.parametrize("roots", [("A", "B"), ("", "")])
def test_several_training_folders_require_explicit_data(roots):
    parts = [SimpleNamespace(data_root=root) for root in roots]
    runner = SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=SimpleNamespace(datasets=parts))
    )
    with pytest.raises(ValueError, match=r"KNNHook: .*set references=dict\(.*queries=dict\("):
        _complete_datasets(runner, None, dict(data_root="C"))

    given = dict(data_root="C", data_prefix="x")
    assert _complete_datasets(runner, given, given) == (given, given)


def test_common_folder_of_all_parts_is_the_default():
    parts = [
        SimpleNamespace(data_root="A"),
        SimpleNamespace(dataset=SimpleNamespace(data_root="A")),
    ]
    runner = SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=SimpleNamespace(datasets=parts))
    )
    assert _complete_datasets(runner, None, None) == (
        dict(data_root="A", data_prefix="train"),
        dict(data_root="A", data_prefix="val"),
    )


def test_training_pipelines_that_normalize_are_refused():
    dataset = SimpleNamespace(pipeline=[Normalize(mean=[1.0], std=[2.0])])
    loader = SimpleNamespace(dataset=dataset)
    model = SimpleNamespace(backbone=torch.nn.Identity())
    runner = SimpleNamespace(model=model, train_dataloader=loader)
    with pytest.raises(ConfigError, match="train_dataloader: the pipeline contains Normalize"):
        KNNHook().before_train(runner)


def test_models_of_rgb_in_memory_need_explicit_pipelines():
    dataset = type("CIFAR10", (), dict(pipeline=[], data_root="images"))()
    model = SimpleNamespace(backbone=torch.nn.Identity(), data_preprocessor=MixDataPreprocessor())
    loader = SimpleNamespace(dataset=dataset)
    with pytest.raises(ConfigError, match="KNNHook loads files as BGR"):
        KNNHook().before_train(SimpleNamespace(model=model, train_dataloader=loader))

import copy
import itertools
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from class_folders import build, classifier, finetune_config, folder_dataset
from image_folders import write_classes, write_images
from mmengine.config import Config
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import MODELS
from mmengine.runner import Runner
from tiny_run import MIXMAE, MRMAE, tiny_config
from torch import nn
from torch.utils.data import BatchSampler, DataLoader
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.checks import consistency
from mim_plugins.engine.loops.resumable_data_loader import ResumableDataLoader
from mim_plugins.errors import ConfigError

numbers = itertools.count()


@pytest.fixture(scope="module")
def mixing():
    return build(MODELS, MIXMAE)


def loader(images, batch, drop_last=False, sampler=DefaultSampler, resumable=False):
    data = list(range(images))
    found = DataLoader(data, batch, sampler=sampler(data), drop_last=drop_last)
    return ResumableDataLoader(found) if resumable else found


@pytest.mark.parametrize("resumable", [False, True])
@pytest.mark.parametrize(
    ("images", "batch", "told"),
    [
        (16, 5, r"batch_size=5 with drop_last=False leaves a last batch of 1 image \(16 images"),
        (4, 3, "last batch of 1 image"),
        (3, 2, "last batch of 1 image"),
        (1, 4, "last batch of 1 image"),
        (4, 1, r"batch_size=1: mixing needs at least 2 images per process"),
        (16, 4, None),
        (17, 5, None),
        (2, 5, None),
    ],
)
def test_mixing_rejects_batches_of_one_image(mixing, images, batch, told, resumable):
    if told is None:
        consistency.check_batches(mixing, loader(images, batch, resumable=resumable))
        return
    with pytest.raises(ConfigError, match=told):
        consistency.check_batches(mixing, loader(images, batch, resumable=resumable))


def test_short_batches_pass_if_none_occurs_or_needs_mixing(mixing):
    consistency.check_batches(mixing, loader(16, 5, drop_last=True))
    consistency.check_batches(mixing, loader(16, 5, sampler=InfiniteSampler))
    consistency.check_batches(build(MODELS, MRMAE), loader(16, 5))
    consistency.check_batches(classifier(), loader(4, 1))


def test_batch_sampler_from_the_config_is_inspected(mixing):
    data = list(range(16))
    batches = BatchSampler(DefaultSampler(data), 5, drop_last=False)
    with pytest.raises(ConfigError, match="last batch of 1 image"):
        consistency.check_batches(mixing, DataLoader(data, batch_sampler=batches))


def test_custom_mixing_decides_by_its_own_errors(mixing):
    class Alone:
        def __call__(self, images):
            return images

    preprocessor = SimpleNamespace(batch_transform=Alone())
    model = SimpleNamespace(data_preprocessor=preprocessor, backbone=mixing.backbone, modules=list)
    consistency.check_batches(model, loader(16, 5))


def test_batch_norm_that_cannot_be_tried_passes():
    head = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))
    head.data_preprocessor = None
    consistency.check_batches(head, loader(16, 5))


def one_of_two(rank, images, batch, round_up):
    model = build(MODELS, MIXMAE)
    data = list(range(images))
    found = DataLoader(data, batch, sampler=DefaultSampler(data, round_up=round_up))
    try:
        consistency.check_batches(model, found)
    except ConfigError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("images", "batch", "round_up", "refused"),
    [(18, 4, True, True), (17, 4, True, True), (17, 4, False, True), (16, 4, True, False)],
)
def test_single_image_batch_of_any_process_is_rejected_on_all(images, batch, round_up, refused):
    _, told = in_two_processes(one_of_two, images, batch, round_up)
    assert len(told) == 2
    for text in told.values():
        assert (text is not None) is refused
        assert text is None or "9 images per epoch of 2 processes" in text


def training(folder, **changes):
    name = f"run{next(numbers)}"
    return Runner.from_cfg(tiny_config(folder, name, **changes))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("consistency")
    write_images(folder / "images", 12)
    return folder


@pytest.mark.parametrize("by_epoch", [True, False])
@pytest.mark.parametrize("model", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
def test_consistent_run_passes(images, model, by_epoch):
    assert consistency.check_training(training(images, model=model, by_epoch=by_epoch)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train_dataloader.dataset.pipeline.1.scale": 64}, "64x64 .*img_size"),
        ({"train_dataloader.dataset.pipeline.1.scale": (32, 64)}, "img_size"),
        ({"model.backbone.in_channels": 1, "model.data_preprocessor.mean": [1.0],
          "model.data_preprocessor.std": [1.0]}, "3 channels, but backbone.in_channels=1"),
        ({"train_dataloader.drop_last": False, "train_dataloader.batch_size": 11}, "1 image"),
    ],
)  # fmt: skip
def test_inconsistent_run_is_rejected(images, changes, told):
    with pytest.raises(ConfigError, match=told):
        consistency.check_training(training(images, **changes))


def test_repeating_iteration_loop_has_last_batches(images):
    changes = {
        "train_dataloader.drop_last": False,
        "train_dataloader.batch_size": 11,
        "train_dataloader.sampler": dict(type="DefaultSampler", shuffle=True),
        "optim_wrapper.accumulative_counts": 2,
    }
    with pytest.raises(ConfigError, match="1 image"):
        consistency.check_training(training(images, by_epoch=False, **changes))


def test_grayscale_pretraining_runs_from_files_to_weights(images):
    pipeline = [
        dict(type="LoadImageFromFile", color_type="grayscale"),
        dict(type="RandomResizedCrop", scale=32),
        dict(type="PackInputs"),
    ]
    runner = training(
        images,
        **{
            "model.backbone.in_channels": 1,
            "model.data_preprocessor.mean": [100.0],
            "model.data_preprocessor.std": [50.0],
            "train_dataloader.dataset.pipeline": pipeline,
            "default_hooks.checkpoint.interval": 100,
        },
    )
    assert consistency.check_training(runner) == []
    before = runner.model.decoder.pred.weight.clone()
    runner.train()
    losses = runner.message_hub.get_scalar("train/loss")._log_history
    assert len(losses) == 6
    assert np.isfinite(losses).all()
    assert not before.equal(runner.model.decoder.pred.weight)


def finetuning(root, work_dir, **settings):
    name = f"consistency_{next(numbers)}"
    run = dict(experiment_name=name, work_dir=str(work_dir), log_level="ERROR")
    return Config(finetune_config(root, **settings) | run)


CASES = [
    (dict(classes=2), None, "3 classes, but model.head.num_classes=2"),
    (dict(topk=(1, 5)), None, r"topk=\(1, 5\)"),
    (dict(), ("a", "c"), "without 'b'"),
    (dict(in_channels=768), None, "768"),
    (dict(), None, None),
]


@pytest.mark.parametrize("custom", [False, True])
def test_doctor_builds_evaluators_as_the_runner(tmp_path, custom):
    cfg = finetuning(write_classes(tmp_path / "data", "abc"), tmp_path / "work")
    wrong = copy.deepcopy(cfg.val_evaluator) | dict(topk=(1, 5))
    cfg.val_evaluator = dict(metrics=[wrong])
    if custom:
        cfg.val_evaluator.type = "Evaluator"
    with pytest.raises(ConfigError, match=r"topk=\(1, 5\)"):
        consistency.check_config(cfg)


@pytest.mark.parametrize(("settings", "val", "told"), CASES)
def test_training_and_doctor_reject_the_same_settings(tmp_path, settings, val, told):
    root = write_classes(tmp_path / "data", "abc", val)
    cfg = finetuning(root, tmp_path / "work", **settings)
    for check in (
        lambda: consistency.check_config(cfg),
        lambda: consistency.check_training(Runner.from_cfg(cfg)),
    ):
        if told is None:
            assert check() == []
            continue
        with pytest.raises(ConfigError, match=told):
            check()


def test_evaluation_is_compared_with_the_checkpoints_classes(tmp_path):
    root = write_classes(tmp_path / "data", "abc", "abx")
    runner = Runner.from_cfg(finetuning(root, tmp_path / "work"))
    with pytest.raises(ConfigError, match=r"train_dataloader.*without 'c' and with additional 'x'"):
        consistency.check_evaluation(runner, None)
    shutil.rmtree(root / "train")
    assert consistency.check_evaluation(runner, None) == []
    with pytest.raises(ConfigError, match=r"checkpoint's training.*'c' and with additional 'x'"):
        consistency.check_evaluation(runner, ("a", "b", "c"))


def test_feature_images_must_match_the_backbone(tmp_path):
    dataset = folder_dataset(write_classes(tmp_path))
    model = classifier(backbone=dict(in_channels=4), preprocessor=dict(mean=[0.0], std=[1.0]))
    with pytest.raises(ConfigError, match="queries: images have 3 channels"):
        consistency.check_features(model.backbone, model.data_preprocessor, dict(queries=dataset))


def wrapped(rank, folder):
    runner = Runner.from_cfg(tiny_config(folder, f"ddp{rank}", **DISTRIBUTED))
    return consistency.check_training(runner)


def test_distributed_model_is_checked_inside_its_wrapper(images):
    codes, warnings = in_two_processes(wrapped, images)
    assert codes == [0, 0]
    assert warnings == {0: [], 1: []}


@pytest.mark.parametrize(("batches", "fits"), [(2, True), (4, True), (5, False), (100, False)])
def test_shortened_epochs_lie_within_the_data_set(batches, fits):
    config = dict(
        batch_size=2,
        num_workers=0,
        num_batch_per_epoch=batches,
        sampler=dict(type="DefaultSampler", shuffle=True),
        dataset=list(range(8)),
    )
    datasets = dict(train_dataloader=Runner.build_dataloader(config, seed=0).dataset)
    if fits:
        consistency.check_lengths(datasets)
        return
    with pytest.raises(ConfigError, match=rf"num_batch_per_epoch needs {2 * batches} images.* 8;"):
        consistency.check_lengths(datasets)


def test_all_checks_compare_the_normalization(tmp_path):
    cfg = finetuning(write_classes(tmp_path / "data", "abc"), tmp_path / "work")
    other = copy.deepcopy(cfg)
    other.model.data_preprocessor = dict(to_rgb=True)
    cfg.load_from = str(tmp_path / "a.pth")
    torch.save(dict(meta=dict(cfg=other.pretty_text), state_dict={}), cfg.load_from)
    runner = Runner.from_cfg(cfg)
    model, datasets = runner.model, dict(queries=folder_dataset(tmp_path / "data"))
    for check in (
        lambda: consistency.check_config(cfg),
        lambda: consistency.check_training(runner),
        lambda: consistency.check_evaluation(runner, None),
        lambda: consistency.check_features(
            model.backbone, model.data_preprocessor, datasets, cfg.load_from
        ),
    ):
        with pytest.raises(ConfigError, match="was trained on RGB images"):
            check()
    assert consistency.check_features(model.backbone, model.data_preprocessor, datasets) == []

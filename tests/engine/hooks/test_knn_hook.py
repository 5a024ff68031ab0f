"""KNNHook in real runs of MMEngine's Runner, on tiny models and images."""

import json
import os
import random
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from archive_files import write_archive
from image_folders import write_colors
from mmcv.transforms import Normalize
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tiny_run import MIXMAE, MRMAE, run_in_pieces, tiny_config
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.data_preprocessors import MixDataPreprocessor
from mim_plugins.engine.hooks import KNNHook, StallWatchdogHook
from mim_plugins.engine.hooks.knn_hook import _complete_datasets
from mim_plugins.errors import ConfigError, CorruptImageError, DataNotFoundError

pytest.importorskip("mmpretrain", exc_type=ImportError)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


@pytest.fixture
def root(tmp_path):
    return write_colors(tmp_path / "images", side=32)


def make_config(root, name="run", hook=None, model=MRMAE, epochs=2, **changes):
    """Return the config of a run with 3 iterations per epoch on 18 images."""
    cfg = tiny_config(root.parent, name, model, **changes)
    cfg.train_dataloader.batch_size = 6
    cfg.train_dataloader.dataset.data_prefix = dict(img_path="train")
    cfg.train_cfg = dict(by_epoch=True, max_epochs=epochs)
    cfg.default_hooks.checkpoint = dict(type="CheckpointHook", interval=1)
    cfg.custom_hooks = [] if hook is None else [hook]
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    cfg.log_level = "WARNING"
    return cfg


def make_hook(**changes):
    settings = dict(type="mim_plugins.KNNHook", interval=1, k=3, batch_size=4, num_workers=0)
    return settings | changes


def train(*args, **kwargs):
    runner = Runner.from_cfg(make_config(*args, **kwargs))
    runner.train()
    return runner


def hook_of(runner):
    return next(hook for hook in runner.hooks if isinstance(hook, KNNHook))


def prepared(root, **changes):
    """Return a runner before its first iteration, and its hook."""
    runner = Runner.from_cfg(make_config(root, hook=make_hook(**changes)))
    runner.train_loop  # noqa: B018  builds the data loader
    runner.call_hook("before_run")
    hook_of(runner).before_train(runner)
    return runner, hook_of(runner)


def records(work_dir, name="vis_data/scalars.json"):
    (file,) = work_dir.glob(f"*/{name}")
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("model", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
def test_run_with_the_hook_is_bit_identical(root, tmp_path, model):
    plain = train(root, "plain", None, model)
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    hooked = train(root, "hooked", make_hook(), model)

    expected, weights = plain.model.state_dict(), hooked.model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
    assert state == (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
    )
    losses = [
        [r["loss"] for r in records(tmp_path / name) if "loss" in r] for name in ("plain", "hooked")
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 6
    assert all(module.training for module in hooked.model.backbone.modules())


def test_accuracies_are_logged_at_their_iteration(root, tmp_path, monkeypatch):
    saved, noted, act = [], [], KNNHook.act

    def note(hook, runner, step):
        saved.append(sorted(path.name for path in (tmp_path / "run").glob("*.pth")))
        act(hook, runner, step)

    monkeypatch.setattr(KNNHook, "act", note)
    monkeypatch.setattr(StallWatchdogHook, "heartbeat", lambda _, done: noted.append(done))
    config = make_config(root, hook=make_hook(interval=2), epochs=4)
    config.custom_hooks.append(dict(type="mim_plugins.StallWatchdogHook"))
    runner = Runner.from_cfg(config)
    runner.train()

    logged = [r for r in records(tmp_path / "run") if "knn_top1" in r]
    assert [(r["epoch"], r["step"]) for r in logged] == [(2, 6), (4, 12)]
    # the color alone separates the classes, even for an untrained encoder
    assert all(r["knn_top1"] > 50 and r["knn_top5"] == 100 for r in logged)
    assert all(r["probe_top1"] > 50 and r["probe_top5"] == 100 for r in logged)
    assert all(1 < r["rankme"] < 16 for r in logged)
    assert [r for r in records(tmp_path / "run", f"vis_data/{runner.timestamp}.json")
            if "knn_top1" in r] == logged  # fmt: skip
    history, _ = runner.message_hub.get_scalar("knn/knn_top1").data
    assert history.tolist() == [r["knn_top1"] for r in logged]
    # checkpoints come before the evaluations
    assert [names[-1] for names in saved] == ["epoch_2.pth", "epoch_4.pth"]
    # heartbeats at the start, then after batches of 4 from 18 references and 9 queries
    assert noted == list(range(5 + 3 + 1)) * 2


def test_evaluates_by_iterations(root, tmp_path):
    train(root, hook=make_hook(interval=2, by_epoch=False))

    logged = [r for r in records(tmp_path / "run") if "knn_top1" in r]
    assert [(r["epoch"], r["step"]) for r in logged] == [(1, 2), (2, 4), (2, 6)]


def test_subsets_are_used_and_workers_outlive_signals(root):
    _, hook = prepared(root, num_workers=1, max_references=6, max_queries=5)
    for loader, size in zip(hook._loaders, (6, 5), strict=True):
        assert len(loader.dataset) == size
        iterator = iter(loader)
        (worker,) = iterator._workers
        first = next(iterator)
        os.kill(worker.pid, signal.SIGTERM)
        time.sleep(0.2)
        assert len(first["inputs"]) + sum(len(batch["inputs"]) for batch in iterator) == size


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


def test_model_without_backbone_is_rejected():
    runner = SimpleNamespace(model=torch.nn.Linear(1, 1))

    with pytest.raises(ValueError, match="Linear has no backbone"):
        KNNHook().before_train(runner)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(interval=0), "interval=0"),
        (dict(precision="int8"), "precision='int8'.*float32"),
        (dict(k=0), r"k=\(0,\)"),
        (dict(temperature=-1.0), "temperature=-1.0"),
        (dict(k=200, max_references=100), "which is 100"),
    ],
)
def test_wrong_arguments_are_rejected(changes, message):
    with pytest.raises(ValueError, match=message):
        KNNHook(**changes)


def train_and_evaluate(rank, root):
    runner = train(root, hook=make_hook(), **DISTRIBUTED)
    # evaluate the trained model again in each process
    hook_of(runner).act(runner, 1)
    if rank == 0:
        torch.save(runner.model.module.state_dict(), root.parent / "weights.pth")
    return measures(runner)


def measures(runner):
    hub = runner.message_hub
    names = ("knn_top1", "knn_top5", "probe_top1", "probe_top5", "rankme")
    return {name: hub.get_scalar(f"knn/{name}").data[0].tolist() for name in names}


def test_two_processes_give_the_result_of_one(root, tmp_path):
    codes, values = in_two_processes(train_and_evaluate, root)
    assert codes == [0, 0]
    assert values[0] == values[1]
    assert len(values[0]["knn_top1"]) == 3

    single, hook = prepared(root)
    single.model.load_state_dict(torch.load(tmp_path / "weights.pth"))
    hook.act(single, 1)
    for name, found in measures(single).items():
        assert found[-1] == pytest.approx(values[0][name][-1], rel=1e-5), name


def test_resumed_run_logs_the_same_measures(root, tmp_path):
    logged = {}
    for name, stops in (("whole", []), ("pieces", [4])):
        config = make_config(root, name, make_hook())
        config.train_cfg = dict(type="mim_plugins.ResumableEpochLoop", max_epochs=2)
        config.default_hooks.checkpoint = dict(
            type="mim_plugins.AtomicCheckpointHook", interval=1, by_epoch=False
        )
        run_in_pieces(config, stops)
        lines = [
            json.loads(line)
            for file in sorted((tmp_path / name).glob("*/vis_data/scalars.json"))
            for line in file.read_text().splitlines()
        ]
        logged[name] = {line["step"]: line for line in lines if "probe_top1" in line}
    assert list(logged["whole"]) == [3, 6]
    assert logged["pieces"] == logged["whole"]


def test_probe_can_be_turned_off(root):
    runner, hook = prepared(root, probe=False)
    hook.act(runner, 1)
    scalars = runner.message_hub.log_scalars
    assert "knn/rankme" in scalars
    assert "knn/probe_top1" not in scalars


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
    dataset = SimpleNamespace(pipeline=[], data_root="images")
    model = SimpleNamespace(backbone=torch.nn.Identity(), data_preprocessor=MixDataPreprocessor())
    loader = SimpleNamespace(dataset=dataset)
    with pytest.raises(ConfigError, match="KNNHook loads files as BGR"):
        KNNHook().before_train(SimpleNamespace(model=model, train_dataloader=loader))

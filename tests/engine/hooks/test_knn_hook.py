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
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image
from torch.multiprocessing import start_processes

from mim_plugins.cli import process_group
from mim_plugins.engine.hooks import KNNHook, StallWatchdogHook
from mim_plugins.engine.hooks.knn_hook import _complete_datasets
from mim_plugins.errors import DataNotFoundError

pytest.importorskip("mmpretrain", exc_type=ImportError)

COLORS = dict(blue=2, green=1, red=0)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


@pytest.fixture
def root(tmp_path):
    """Write noisy images whose class is their color."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for name, channel in COLORS.items():
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 60, (64, 64, 3), dtype=np.uint8)
                pixels[..., channel] += 150
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return tmp_path / "data"


def make_config(root, work_dir, model, hook, epochs=2, launcher="none"):
    return Config(
        dict(
            model=model,
            work_dir=str(work_dir),
            launcher=launcher,
            default_scope="mmpretrain",
            experiment_name=str(work_dir).replace("/", "_"),
            train_dataloader=dict(
                batch_size=6,
                num_workers=0,
                drop_last=True,
                sampler=dict(type="DefaultSampler", shuffle=True),
                collate_fn=dict(type="default_collate"),
                dataset=dict(
                    type="mim_plugins.UnlabeledImageFolder",
                    data_root=str(root),
                    data_prefix=dict(img_path="train"),
                    pipeline=[
                        dict(type="LoadImageFromFile"),
                        dict(type="RandomResizedCrop", scale=64),
                        dict(type="PackInputs"),
                    ],
                ),
            ),
            optim_wrapper=dict(optimizer=dict(type="AdamW", lr=1e-3)),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            default_hooks=dict(logger=dict(type="LoggerHook", interval=1)),
            custom_hooks=[] if hook is None else [hook],
            visualizer=dict(
                type="mmengine.Visualizer", vis_backends=[dict(type="LocalVisBackend")]
            ),
            randomness=dict(seed=0),
            log_level="WARNING",
        )
    )


def make_hook(**changes):
    settings = dict(type="mim_plugins.KNNHook", interval=1, k=3, batch_size=4, num_workers=0)
    return settings | changes


def train(*args, **kwargs):
    runner = Runner.from_cfg(make_config(*args, **kwargs))
    runner.train()
    return runner


def records(work_dir, name="vis_data/scalars.json"):
    (file,) = work_dir.glob(f"*/{name}")
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def mrmae_config():
    return dict(
        type="mim_plugins.MRMAE",
        backbone=dict(
            type="mim_plugins.MaskedViT",
            arch=dict(depth=2, embed_dims=16, num_heads=2),
            img_size=64,
            drop_path_rate=0.5,
        ),
        decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        mask_ratio=0.75,
        data_preprocessor=dict(
            type="mim_plugins.MixDataPreprocessor",
            mean=[120.0, 110.0, 100.0],
            std=[60.0, 50.0, 40.0],
            bgr_to_rgb=True,
        ),
    )


@pytest.fixture(params=["mixmae", "mrmae"])
def model_config(request):
    if request.param == "mrmae":
        return request.getfixturevalue("mrmae_config")
    return dict(
        type="mim_plugins.MixMAE",
        backbone=dict(
            type="mim_plugins.MaskedSwin",
            arch=dict(embed_dims=8, depths=(1, 2, 1), num_heads=(1, 2, 4)),
            img_size=64,
            window_size=(8, 8, 4),
            drop_path_rate=0.5,
        ),
        decoder=dict(type="mim_plugins.MixMAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        data_preprocessor=dict(
            type="mim_plugins.MixDataPreprocessor",
            mean=[120.0, 110.0, 100.0],
            std=[60.0, 50.0, 40.0],
            batch_transform=dict(type="mim_plugins.MixImages", mask_ratio=0.5),
        ),
    )


def test_run_with_the_hook_is_bit_identical(root, tmp_path, model_config):
    plain = train(root, tmp_path / "plain", model_config, None)
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    hooked = train(root, tmp_path / "hooked", model_config, make_hook())

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


def test_accuracies_are_logged_at_their_iteration(root, tmp_path, mrmae_config):
    runner = train(root, tmp_path / "run", mrmae_config, make_hook(interval=2), epochs=4)

    logged = [r for r in records(tmp_path / "run") if "knn_top1" in r]
    assert [(r["epoch"], r["step"]) for r in logged] == [(2, 6), (4, 12)]
    # the color alone separates the classes, even for an untrained encoder
    assert all(r["knn_top1"] > 50 and r["knn_top5"] == 100 for r in logged)
    assert [r for r in records(tmp_path / "run", f"vis_data/{runner.timestamp}.json")
            if "knn_top1" in r] == logged  # fmt: skip
    history, _ = runner.message_hub.get_scalar("knn/knn_top1").data
    assert history.tolist() == [r["knn_top1"] for r in logged]


def test_evaluates_by_iterations(root, tmp_path, mrmae_config):
    train(root, tmp_path / "run", mrmae_config, make_hook(interval=2, by_epoch=False))

    logged = [r for r in records(tmp_path / "run") if "knn_top1" in r]
    assert [(r["epoch"], r["step"]) for r in logged] == [(1, 2), (2, 4), (2, 6)]


def test_checkpoint_is_saved_before_the_evaluation(root, tmp_path, mrmae_config, monkeypatch):
    saved = []
    act = KNNHook.act

    def note(hook, runner, step):
        saved.append(sorted(path.name for path in (tmp_path / "run").glob("*.pth")))
        act(hook, runner, step)

    monkeypatch.setattr(KNNHook, "act", note)
    train(root, tmp_path / "run", mrmae_config, make_hook())

    assert saved == [["epoch_1.pth"], ["epoch_1.pth", "epoch_2.pth"]]


def test_evaluation_sends_heartbeats_to_the_watchdog(root, tmp_path, mrmae_config, monkeypatch):
    noted = []
    monkeypatch.setattr(StallWatchdogHook, "heartbeat", lambda _, done: noted.append(done))
    config = make_config(root, tmp_path, mrmae_config, make_hook(), epochs=1)
    config.custom_hooks.append(dict(type="mim_plugins.StallWatchdogHook"))
    Runner.from_cfg(config).train()

    # the start, then batches of 4 from 18 references and 9 queries
    assert noted == list(range(5 + 3 + 1))


def test_evaluation_workers_outlive_signals(root, tmp_path, mrmae_config):
    hook = make_hook(num_workers=1)
    runner = Runner.from_cfg(make_config(root, tmp_path, mrmae_config, hook, epochs=1))
    runner.train()

    (knn,) = (hook for hook in runner.hooks if isinstance(hook, KNNHook))
    for loader in knn._loaders:
        iterator = iter(loader)
        (worker,) = iterator._workers
        first = next(iterator)
        os.kill(worker.pid, signal.SIGTERM)
        time.sleep(0.2)
        assert len(first["inputs"]) + sum(len(batch["inputs"]) for batch in iterator) == len(
            loader.dataset
        )


def test_subsets_are_used(root, tmp_path, mrmae_config):
    config = make_config(root, tmp_path, mrmae_config, make_hook(max_references=6, max_queries=3))
    runner = Runner.from_cfg(config)
    runner.train()

    hook = next(hook for hook in runner.hooks if isinstance(hook, KNNHook))
    assert [len(loader.dataset) for loader in hook._loaders] == [6, 3]


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
def test_wrong_data_is_rejected_before_the_first_iteration(
    root, tmp_path, mrmae_config, changes, error, message
):
    runner = Runner.from_cfg(make_config(root, tmp_path, mrmae_config, make_hook(**changes)))

    with pytest.raises(error, match=message):
        runner.train()
    assert runner.iter == 0


def test_model_without_backbone_is_rejected(root, tmp_path, mrmae_config):
    runner = Runner.from_cfg(make_config(root, tmp_path, mrmae_config, None))
    runner.model = torch.nn.Linear(1, 1)

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


def _train_in_process(rank, root, work_dir, model):
    os.environ["LOCAL_RANK"] = str(rank)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{work_dir}_store", rank=rank, world_size=2
    )
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        cfg = make_config(root, work_dir, model, make_hook(), launcher="pytorch")
        process_group.init_gloo_on_cpu(cfg)
        runner = Runner.from_cfg(cfg)
        runner.train()
        # evaluate the trained model again in each process
        hook = next(hook for hook in runner.hooks if isinstance(hook, KNNHook))
        hook.act(runner, 1)
    values, _ = runner.message_hub.get_scalar("knn/knn_top1").data
    torch.save((values.tolist(), runner.model.module.state_dict()), f"{work_dir}_rank{rank}.pth")
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_result_of_one(root, tmp_path, mrmae_config, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    work_dir = str(tmp_path / "run")
    start_processes(
        _train_in_process, (str(root), work_dir, mrmae_config), nprocs=2, start_method="fork"
    )

    (first, weights), (second, _) = (torch.load(f"{work_dir}_rank{rank}.pth") for rank in range(2))
    assert first == second
    assert len(first) == 3
    single = Runner.from_cfg(make_config(root, tmp_path / "single", mrmae_config, make_hook()))
    single.model.load_state_dict(weights)
    hook = next(hook for hook in single.hooks if isinstance(hook, KNNHook))
    single.train_loop  # noqa: B018  builds the data loader
    hook.before_train(single)
    hook.act(single, 1)
    values, _ = single.message_hub.get_scalar("knn/knn_top1").data
    assert values[-1] == first[-1]


def test_corrupt_images_are_skipped(root, tmp_path, mrmae_config):
    (root / "train/red/0.png").write_bytes(b"x")
    (root / "val/blue/1.png").write_bytes(b"")
    config = make_config(root, tmp_path / "run", mrmae_config, make_hook())
    config.train_dataloader.dataset |= dict(on_corrupt="replace")
    config.train_dataloader.dataset.pipeline[0].type = "mim_plugins.LoadImage"
    config.log_level = "INFO"
    Runner.from_cfg(config).train()

    (log,) = (tmp_path / "run").glob("*/*.log")
    text = log.read_text()
    assert text.count("17 references, 8 queries") == 2
    assert "1 of 18 images are left out: corrupt image" in text
    assert "red/0.png" in text
    assert "blue/1.png" in text
    assert len([r for r in records(tmp_path / "run") if "knn_top1" in r]) == 2


@pytest.mark.parametrize("left", [0, 2])
def test_too_few_readable_images_skip_the_evaluation(root, tmp_path, mrmae_config, left):
    runner = Runner.from_cfg(make_config(root, tmp_path / "run", mrmae_config, make_hook()))
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, KNNHook)]
    runner.call_hook("before_run")
    hook.before_train(runner)
    for file in sorted((root / "train").rglob("*.png"))[left:]:
        file.write_bytes(b"x")

    hook.act(runner, 1)

    (log,) = (tmp_path / "run").glob("*/*.log")
    assert "k-NN evaluation skipped" in log.read_text()
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

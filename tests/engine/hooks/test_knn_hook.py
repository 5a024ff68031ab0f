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
from knn_runs import hook_of, make_config, make_hook, prepared, records
from mmengine.runner import Runner
from tiny_run import MIXMAE, MRMAE, run_in_pieces
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.engine.hooks import KNNHook, StallWatchdogHook

pytest.importorskip("mmpretrain", exc_type=ImportError)
pytestmark = pytest.mark.usefixtures("mmpretrain_scope")


def train(*args, **kwargs):
    runner = Runner.from_cfg(make_config(*args, **kwargs))
    runner.train()
    return runner


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


def test_features_that_are_not_finite_are_a_warning(root, monkeypatch):
    runner, hook = prepared(root)
    warnings = []
    monkeypatch.setattr(runner.logger, "warning", warnings.append)
    with torch.no_grad():
        next(runner.model.backbone.parameters()).fill_(float("nan"))
    hook.act(runner, 1)
    (message,) = warnings
    assert message.startswith("k-NN evaluation skipped: 18 of 18 images have features in float32")
    assert not any("knn" in name for name in runner.message_hub.log_scalars)

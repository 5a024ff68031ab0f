import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from free_port import free_port
from mmengine.config import Config
from mmengine.config.lazy import LazyObject

from mim_plugins.cli import process_group


class OwnSyncBatchNorm(torch.nn.SyncBatchNorm):
    pass


def test_single_process_run_starts_no_process_group():
    cfg = Config(dict(launcher="none", model=dict()))
    process_group.init_gloo_on_cpu(cfg)
    assert "model_wrapper_cfg" not in cfg
    assert not torch.distributed.is_initialized()


def test_cpu_processes_use_unsynchronized_batch_norms(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    head = dict(type="Head", norm_cfg=dict(type="SyncBN", requires_grad=True))
    cfg = Config(dict(launcher="pytorch", model=dict(heads=[head], neck=dict(type="FPN"))))

    process_group.init_gloo_on_cpu(cfg)

    assert cfg.model.heads[0].norm_cfg == dict(type="BN", requires_grad=True)
    assert cfg.model.neck == dict(type="FPN")


@pytest.mark.parametrize("kind", ["mim_plugins.FullyShardedModel", None])
def test_model_is_wrapped_for_ddp_unless_the_config_shards_it(monkeypatch, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    wrapper = dict(type=kind) if kind else None
    cfg = Config(dict(launcher="pytorch", model=dict(), model_wrapper_cfg=wrapper))
    process_group.init_gloo_on_cpu(cfg)
    assert cfg.model_wrapper_cfg.type == (kind or "MMDistributedDataParallel")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mmengine.SyncBN", "BN"),
        ("torch.nn.SyncBatchNorm", "BN"),
        (torch.nn.SyncBatchNorm, "BN"),
        (LazyObject("torch.nn", "SyncBatchNorm"), "BN"),
        (LazyObject("torch").nn.SyncBatchNorm, "BN"),
        ("SyncFreeNorm", "SyncFreeNorm"),
        (OwnSyncBatchNorm, OwnSyncBatchNorm),
    ],
)
def test_synchronized_norms_are_replaced_under_any_spelling(monkeypatch, kind, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend: None)
    model = dict(type="A", neck=[dict(norm_cfg=dict(type=kind))])
    cfg = Config(dict(launcher="pytorch", model=model, sync_bn="torch"))

    process_group.init_gloo_on_cpu(cfg)

    assert cfg.model.neck[0].norm_cfg.type == expected
    assert cfg.sync_bn is None


@pytest.mark.parametrize("code", [None, 85])
def test_process_group_is_shut_down_after_success(monkeypatch, code):
    calls = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    for name in ("barrier", "destroy_process_group"):
        monkeypatch.setattr(torch.distributed, name, lambda name=name: calls.append(name))

    def run():
        if code is not None:
            sys.exit(code)
        return "metrics"

    if code is None:
        assert process_group.run_distributed(run) == "metrics"
    else:
        with pytest.raises(SystemExit) as stop:
            process_group.run_distributed(run)
        assert stop.value.code == code
    assert calls == ["barrier", "destroy_process_group"]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit("error: broken")])
def test_no_barrier_after_an_error(monkeypatch, error):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)

    def run():
        raise error

    with pytest.raises(type(error), match="broken"):
        process_group.run_distributed(run)


TRAIN_AND_LEAVE = """
import sys
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.config.lazy import LazyObject
from mim_plugins.cli import process_group


def run():
    process_group.init_gloo_on_cpu(Config(dict(launcher="pytorch", model=dict())))
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    model.own = model  # a cycle, as every runner has
    model(torch.ones(1, 2)).sum().backward()
    sys.exit(85)


try:
    process_group.run_distributed(run)
finally:
    print([(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()])
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc to list threads")
def test_no_gloo_thread_outlives_the_run():
    group = dict(RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()))
    result = subprocess.run(
        [sys.executable, "-c", TRAIN_AND_LEAVE],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | group | dict(CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS="1"),
    )
    assert result.returncode == 85, result.stderr
    assert len(ast.literal_eval(result.stdout)) == 1, result.stdout

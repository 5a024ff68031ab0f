"""Runs that continue with another optimizer wrapper than before: ZeRO, precision, accumulation."""

import shutil

import pytest
import torch
from image_folders import write_images
from mmengine.dist import barrier
from tiny_run import IMAGES, MIXMAE, run, same, tiny_config
from two_processes import DISTRIBUTED, in_two_processes

SETTINGS = {
    "plain": {},
    "zero": {
        "optim_wrapper.optimizer": dict(
            _delete_=True,
            type="mim_plugins.ShardedOptimizer",
            optimizer_type="AdamW",
            lr=1e-2,
            weight_decay=0.05,
        )
    },
    "float32": {"optim_wrapper.type": "OptimWrapper"},
    "accumulated": {"optim_wrapper.accumulative_counts": 2},
}


CHANGES = [
    ("plain", "plain"),
    ("plain", "zero"),
    ("zero", "plain"),
    ("zero", "zero"),
    ("plain", "float32"),
    ("zero", "float32"),
    ("float32", "plain"),
    ("plain", "accumulated"),
    ("zero", "accumulated"),
]


def train_with_each(rank, folder):
    """Stop after the checkpoint of iteration 2, and continue with the same or another setting."""

    def config(name, setting):
        cfg = tiny_config(folder, name, MIXMAE, **DISTRIBUTED, **SETTINGS[setting])
        cfg.train_dataloader.batch_size = 2
        cfg.default_hooks.checkpoint.interval = 2
        return cfg

    for before in ("plain", "zero", "float32"):
        run(config(before, before), stop_after=2)
    if rank == 0:
        for before, after in CHANGES:
            shutil.copytree(folder / before, folder / f"{before}_{after}")
    barrier()
    final = {key: run(config("_".join(key), key[1]), resume=True)[0] for key in CHANGES}
    torch.save(final, folder / f"{rank}.pth")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("settings")
    write_images(folder / "images", IMAGES)
    codes, _ = in_two_processes(train_with_each, folder, timeout=300)
    assert codes == [0, 0]
    first, second = (torch.load(folder / f"{rank}.pth") for rank in range(2))
    assert all(same(first[key], second[key]) for key in CHANGES)
    return first


def test_sharding_can_change_without_effect(weights):
    expected = weights["plain", "plain"]
    for key in (("zero", "zero"), ("plain", "zero"), ("zero", "plain")):
        assert same(weights[key], expected)


@pytest.mark.parametrize("after", ["float32", "accumulated"])
def test_another_setting_continues_from_the_same_state(weights, after):
    assert same(weights["plain", after], weights["zero", after])
    assert not same(weights["plain", after], weights["plain", "plain"])
    assert all(tensor.isfinite().all() for tensor in weights["plain", after].values())


def test_a_full_precision_run_can_continue_in_mixed_precision(weights):
    both = weights["float32", "plain"], weights["plain", "plain"]
    assert not same(*both)
    assert all(torch.allclose(value, both[1][name], atol=0.05) for name, value in both[0].items())

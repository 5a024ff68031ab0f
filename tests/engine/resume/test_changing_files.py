"""Files that other programs change while a run uses them."""

import multiprocessing
from pathlib import Path

import pytest
import torch
from disks import small_disk
from image_folders import write_images
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from tiny_run import IMAGES, run, same, tiny_config, toy_runner

from mim_plugins.engine.resume.checkpoint_files import find_resumable
from mim_plugins.errors import WorkDirError
from mim_plugins.registry import HOOKS

_FORK = multiprocessing.get_context("fork")


@HOOKS.register_module()
class CutImage(Hook):
    """Cuts a file after the second iteration."""

    def __init__(self, file, share):
        self.file, self.share = Path(file), share

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter == 1:
            content = self.file.read_bytes()
            self.file.write_bytes(content[: int(len(content) * self.share)])


class LargeModel(BaseModel):
    """Model whose checkpoint takes a quarter of a MiB."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2**16))

    def forward(self, inputs, data_samples=None, mode="loss"):
        return dict(loss=(self.weight - torch.stack(list(inputs)).mean()).square().sum())


def train_toy(folder, results):
    """Train, saving after each of 30 iterations, and report how the run ended."""
    runner = toy_runner(folder, model=LargeModel(), iterations=30)
    try:
        runner.train()
        results.put((folder.name, "complete"))
    except WorkDirError as error:
        results.put((folder.name, str(error)))


def test_two_runs_share_a_disk_that_is_too_small(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:  # each run needs three files at a time
        results = _FORK.Queue()
        folders = [disk.folder / name for name in ("a", "b")]
        runs = [_FORK.Process(target=train_toy, args=(folder, results)) for folder in folders]
        for each in runs:
            each.start()
        ends = dict(results.get(timeout=100) for _ in runs)
        for each in runs:
            each.join()
        for folder in folders:
            saved = list(folder.glob("*.pth"))
            if ends[folder.name] != "complete":
                assert "could not be saved" in ends[folder.name]
            if saved:
                choice = find_resumable(folder, folder / "last_checkpoint")
                assert choice.path in saved
                weights = torch.load(choice.path, weights_only=False)["state_dict"]["weight"]
                assert len(set(weights.tolist())) == 1
        assert not list(disk.folder.rglob("*.partial"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.98])
def test_an_image_cut_during_the_run_is_replaced_and_counted(tmp_path, share):
    write_images(tmp_path / "images", IMAGES)
    file = sorted((tmp_path / "images").rglob("*.*"))[3]

    whole = run(tiny_config(tmp_path, "whole"))[0]
    cfg = tiny_config(tmp_path, "cut")
    cfg.custom_hooks.append(dict(type="mim_plugins.CorruptImageHook", max_share=0.5))
    cfg.train_dataloader.dataset = dict(
        type="mim_plugins.FaultTolerantDataset", dataset=cfg.train_dataloader.dataset
    )
    cfg.train_dataloader.dataset.dataset.pipeline[0].type = "mim_plugins.LoadImage"
    cfg.custom_hooks.append(dict(type="mim_plugins.CutImage", file=str(file), share=share))
    weights = run(cfg)[0]
    assert not same(weights, whole)
    listed = (tmp_path / "cut/corrupt_images.txt").read_text()
    assert file.name in listed
    assert len(listed.splitlines()) == 1

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from image_folders import write_images
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image
from tiny_run import MIXMAE, MRMAE, tiny_config
from torch.nn.parallel import DistributedDataParallel

from mim_plugins.engine.hooks import ReconstructionHook, reconstruction_hook
from mim_plugins.registry import MODELS

MODULE = "mim_plugins.engine.hooks.reconstruction_hook"


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path / "images", 8, (40, 44), "png")


def run(folder, name, *hooks, model=MIXMAE, num_workers=0, **changes):
    """Train 2 epochs of 2 iterations."""
    cfg = tiny_config(folder.parent, name, model, workers=num_workers, **changes)
    cfg.default_hooks = dict(checkpoint=None, logger=None)
    cfg.custom_hooks = [hook for hook in hooks if isinstance(hook, dict)]
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        if isinstance(hook, Hook):
            runner.register_hook(hook)
    runner.train()
    return runner


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the runner of a run without the hook."""
    return run(write_images(tmp_path_factory.mktemp("run") / "images", 8, suffix="png"), "run")


def pictures(work_dir):
    return sorted(file.name for file in work_dir.rglob("vis_image/*.png"))


def hook(**arguments):
    return dict(type="mim_plugins.ReconstructionHook") | arguments


def test_training_is_bit_identical_with_and_without_the_hook(folder, tmp_path):
    plain = run(folder, "plain", num_workers=1).model.state_dict()
    often = hook(interval=1, by_epoch=False, images=(0, 1, 2))
    watched = run(folder, "watched", often, num_workers=1).model.state_dict()

    assert pictures(tmp_path / "watched") == [f"reconstruction_{step}.png" for step in (1, 2, 3, 4)]
    for name, tensor in plain.items():
        assert torch.equal(tensor, watched[name]), name


def test_pictures_repeat_images_with_new_reconstructions(folder, tmp_path):
    files = [str(folder / "03.png"), str(folder / "05.png")]
    often = hook(interval=1, images=files, name="look")
    runner = run(folder, "run", often, **{"model.backbone.frozen_stages": 1})

    assert pictures(tmp_path / "run") == ["look_2.png", "look_4.png"]
    first, second = (np.asarray(Image.open(f)) for f in sorted(tmp_path.rglob("look_*.png")))
    assert first.shape == second.shape
    changed = np.flatnonzero((first != second).any(axis=(0, 2)))
    assert changed.min() > first.shape[1] * 0.55  # originals and mixture are the first 3 of 5
    # frozen stages stay in evaluation mode
    assert runner.model.training
    assert [stage.training for stage in runner.model.backbone.stages] == [False, True]


def test_seed_determines_the_crops(trained):
    batches = []
    for state, seed in ((1, 0), (2, 0), (2, 1)):
        np.random.seed(state)
        watcher = ReconstructionHook(images=4, seed=seed)
        watcher.before_train(trained)
        batches.append(watcher._batch)
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[1], batches[2])


def test_images_are_evenly_spaced_over_the_data_set():
    read = []

    class Folder(list):
        def __getitem__(self, index):
            read.append(index)
            return dict(inputs=torch.zeros(1))

    class Model(torch.nn.Linear):
        def data_preprocessor(self, data, training):
            return dict(inputs=data["inputs"])

    runner = SimpleNamespace(train_dataloader=SimpleNamespace(dataset=Folder(range(50))))
    assert ReconstructionHook(images=5)._read(runner, Model(1, 1)).shape == (5, 1)
    assert read == [0, 10, 20, 30, 40]
    assert ReconstructionHook()._read(runner, Model(1, 1)).shape == (8, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(interval=0), ValueError, "interval=0"),
        (dict(images=()), ValueError, "images is empty"),
        (dict(images=0), ValueError, "images=0 must be at least 1"),
        (dict(images=(0, 8)), ValueError, r"images=\[8\] is outside the training set of 8"),
        (dict(images=("nowhere.jpg", "b.jpg")), FileNotFoundError, "nowhere.jpg"),
        (dict(images=(0,)), ValueError, "at least 2 images"),
    ],
)
def test_errors_are_raised_before_training(trained, arguments, error, message):
    with pytest.raises(error, match=message):
        ReconstructionHook(**arguments).before_train(trained)


class Recorder:
    def __init__(self):
        self.images = []

    def add_image(self, name, image, step):
        self.images.append((name, image.shape, step))


def test_distributed_wrapper_is_unwrapped(trained, monkeypatch):
    monkeypatch.setattr(trained, "visualizer", Recorder())
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        monkeypatch.setattr(trained, "model", DistributedDataParallel(trained.model))
        watcher = ReconstructionHook(interval=1, images=(0, 1))
        watcher.before_train(trained)
        watcher.after_train_iter(trained, 0)  # pictures are drawn per epoch
        watcher.after_train_epoch(trained)
    finally:
        torch.distributed.destroy_process_group()
    ((name, shape, step),) = trained.visualizer.images
    assert (name, shape[2], step) == ("reconstruction", 3, 4)


GRAY = [
    dict(type="LoadImageFromFile", color_type="grayscale"),
    dict(type="RandomResizedCrop", scale=32),
    dict(type="PackInputs"),
]


@pytest.mark.parametrize("model", [MIXMAE, MRMAE])
def test_single_channel_images_are_drawn(folder, tmp_path, model):
    gray = {
        "model.backbone.in_channels": 1,
        "model.decoder.out_channels": 1,
        "model.data_preprocessor.mean": [120.0],
        "model.data_preprocessor.std": [60.0],
        "train_dataloader.dataset.pipeline": GRAY,
    }
    images = [4, [str(folder / f"{index:02d}.png") for index in range(4)]]
    hooks = (hook(interval=2, images=given, name=f"by_{i}") for i, given in enumerate(images))
    run(folder, "gray", *hooks, model=model, **gray)
    for file in (tmp_path / "gray").rglob("vis_image/*.png"):
        picture = np.asarray(Image.open(file))[60:]
        assert (np.abs(picture - picture[..., :1].astype(int)) == 0).all()
        assert len(np.unique(picture)) > 50
    assert pictures(tmp_path / "gray") == ["by_0_4.png", "by_1_4.png"]


@pytest.mark.parametrize("model", [MIXMAE, MRMAE])
def test_four_channel_images_are_drawn_before_training(model, monkeypatch):
    cfg = Config(copy.deepcopy(model))
    cfg.backbone.in_channels = cfg.decoder.out_channels = 4
    for key in ("mean", "std"):
        del cfg.data_preprocessor[key]
    cfg.data_preprocessor.bgr_to_rgb = False
    dataset = [dict(inputs=torch.zeros(4, 32, 32))] * 3
    runner = SimpleNamespace(
        model=MODELS.build(cfg), train_dataloader=SimpleNamespace(dataset=dataset), cfg=Config()
    )
    drawn, draw = [], reconstruction_hook.draw_grid
    monkeypatch.setattr(
        reconstruction_hook, "draw_grid", lambda *given: drawn.append(draw(*given)) or drawn[-1]
    )
    ReconstructionHook(images=2).before_train(runner)
    assert drawn[0].shape[-1] == 3


@pytest.mark.parametrize("place", ["reconstruction_panels", "draw_grid", "add_image"])
def test_failed_picture_does_not_end_training(folder, monkeypatch, place):
    def fail(*_, **__):
        raise RuntimeError("the GPU's memory is full")

    class Failing(Hook):
        def before_train_iter(self, runner, *args, **kwargs):
            owner = runner.visualizer if place == "add_image" else reconstruction_hook
            monkeypatch.setattr(owner, place, fail)

    said = []
    monkeypatch.setattr(f"{MODULE}.print_log", lambda text, **_: said.append(text))
    runner = run(folder, "run", Failing(), hook(interval=1))
    assert runner.epoch == 2
    message = "RuntimeError: the GPU's memory is full"
    assert said == [f"ReconstructionHook: no picture at iteration {n}: {message}" for n in (2, 4)]
    assert runner.model.training


def test_only_the_main_process_draws(monkeypatch):
    monkeypatch.setattr(f"{MODULE}.is_main_process", lambda: False)
    watcher = ReconstructionHook(interval=1)
    watcher.before_train(None)
    watcher.act(None, 1)  # neither call uses the runner


def test_pictures_of_bgr_models_have_natural_colors(folder, tmp_path, monkeypatch):
    model = copy.deepcopy(MIXMAE)
    model["data_preprocessor"]["bgr_to_rgb"] = False
    for path in folder.iterdir():
        Image.new("RGB", (44, 40), (250, 20, 30)).save(path)
    shown, panels = [], reconstruction_hook.reconstruction_panels
    monkeypatch.setattr(
        reconstruction_hook,
        "reconstruction_panels",
        lambda *given: shown.append(panels(*given)) or shown[-1],
    )
    run(folder, "bgr", dict(type="mim_plugins.ReconstructionHook", images=2), model=model)
    assert shown[0]["original A"][0, :, 9, 9].tolist() == [250, 20, 30]

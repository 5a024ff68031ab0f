import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image
from tiny_run import MIXMAE, MRMAE, tiny_config
from tiny_run import run as train
from torch.nn.parallel import DistributedDataParallel

from mim_plugins.engine.hooks import ReconstructionHook, reconstruction_hook
from mim_plugins.registry import MODELS

BACKBONE = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
    img_size=32,
    window_size=4,
    drop_path_rate=0.5,
)


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for index in range(8):
        pixels = generator.integers(0, 255, (40, 40 + index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{index}.png")
    return tmp_path / "images"


def run(folder, work_dir, *hooks, num_workers=0):
    pipeline = [
        dict(type="LoadImageFromFile"),
        dict(type="RandomResizedCrop", scale=32),
        dict(type="RandomFlip", prob=0.5),
        dict(type="PackInputs"),
    ]
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        runner = Runner(
            model=dict(
                type="mim_plugins.MixMAE",
                backbone=BACKBONE,
                decoder=dict(type="mim_plugins.MixMAEDecoder", embed_dims=8, depth=1, num_heads=1),
                head=dict(type="mim_plugins.PixelHead"),
                data_preprocessor=dict(
                    type="mim_plugins.MixDataPreprocessor",
                    mean=[120.0] * 3,
                    std=[60.0] * 3,
                    bgr_to_rgb=True,
                    batch_transform=dict(type="mim_plugins.MixImages", range_mask_ratio=0.1),
                ),
            ),
            work_dir=str(work_dir),
            train_dataloader=dict(
                batch_size=4,
                num_workers=num_workers,
                sampler=dict(type="DefaultSampler", shuffle=True),
                collate_fn=dict(type="default_collate"),
                dataset=dict(
                    type="mim_plugins.UnlabeledImageFolder",
                    data_root=str(folder),
                    pipeline=pipeline,
                ),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
            default_hooks=dict(checkpoint=None, logger=None),
            custom_hooks=list(hooks),
            visualizer=dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend")]),
            randomness=dict(seed=0),
            log_level="ERROR",
            default_scope="mmpretrain",
            experiment_name=f"{work_dir.parent.name}_{work_dir.name}",
        )
        runner.train()
    return runner


def pictures(work_dir):
    return sorted(file.name for file in work_dir.rglob("vis_image/*.png"))


def hook(**arguments):
    return dict(type="mim_plugins.ReconstructionHook") | arguments


def test_training_is_bit_identical_with_and_without_the_hook(folder, tmp_path):
    plain = run(folder, tmp_path / "plain", num_workers=1).model.state_dict()
    watched = run(
        folder, tmp_path / "watched", hook(interval=1, by_epoch=False, images=(0, 1, 2)),
        num_workers=1,
    ).model.state_dict()  # fmt: skip

    assert pictures(tmp_path / "watched") == [f"reconstruction_{step}.png" for step in (1, 2, 3, 4)]
    for name, tensor in plain.items():
        assert torch.equal(tensor, watched[name]), name


def test_pictures_repeat_images_with_new_reconstructions(folder, tmp_path):
    files = [str(folder / "3.png"), str(folder / "5.png")]
    run(folder, tmp_path / "run", hook(interval=1, images=files, name="look"))

    assert pictures(tmp_path / "run") == ["look_2.png", "look_4.png"]
    first, second = (np.asarray(Image.open(f)) for f in sorted(tmp_path.rglob("look_*.png")))
    assert first.shape == second.shape
    changed = np.flatnonzero((first != second).any(axis=(0, 2)))
    assert changed.min() > first.shape[1] * 0.55  # originals and mixture are the first 3 of 5


def test_frozen_stages_stay_in_evaluation_mode(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(BACKBONE, "frozen_stages", 1)
    runner = run(folder, tmp_path / "run", hook(interval=1))
    assert runner.model.training
    assert not runner.model.backbone.stages[0].training
    assert runner.model.backbone.stages[1].training


def test_seed_determines_the_crops(folder, tmp_path):
    runner = run(folder, tmp_path / "run")
    batches = []
    for state, seed in ((1, 0), (2, 0), (2, 1)):
        np.random.seed(state)
        watcher = ReconstructionHook(images=4, seed=seed)
        watcher.before_train(runner)
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
def test_errors_are_raised_before_training(folder, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        run(folder, tmp_path / "run", hook(**arguments))


class Recorder:
    def __init__(self):
        self.images = []

    def add_image(self, name, image, step):
        self.images.append((name, image.shape, step))


def test_distributed_wrapper_is_unwrapped(folder, tmp_path):
    runner = run(folder, tmp_path / "run")
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        runner.model = DistributedDataParallel(runner.model)
        runner.visualizer = Recorder()
        watcher = ReconstructionHook(interval=1, images=(0, 1))
        watcher.before_train(runner)
        watcher.after_train_iter(runner, 0)  # pictures are drawn per epoch
        watcher.after_train_epoch(runner)
    finally:
        torch.distributed.destroy_process_group()
    ((name, shape, step),) = runner.visualizer.images
    assert (name, shape[2], step) == ("reconstruction", 3, 4)


GREY = [
    dict(type="LoadImageFromFile", color_type="grayscale"),
    dict(type="RandomResizedCrop", scale=32),
    dict(type="PackInputs"),
]


@pytest.mark.parametrize("paths", [False, True])
@pytest.mark.parametrize("model", [MIXMAE, MRMAE])
def test_single_channel_images_are_drawn(folder, tmp_path, model, paths):
    images = [str(folder / f"{index}.png") for index in range(4)] if paths else 4
    cfg = tiny_config(tmp_path, "gray", model)
    cfg.model.backbone.in_channels = cfg.model.decoder.out_channels = 1
    cfg.model.data_preprocessor.update(mean=[120.0], std=[60.0])
    cfg.train_dataloader.dataset.pipeline = GREY
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    cfg.custom_hooks.append(dict(type="mim_plugins.ReconstructionHook", interval=1, images=images))
    train(cfg)
    first, *_ = tmp_path.rglob("vis_image/*.png")
    picture = np.asarray(Image.open(first))[60:]
    assert (np.abs(picture - picture[..., :1].astype(int)) == 0).all()
    assert len(np.unique(picture)) > 50


@pytest.mark.parametrize("model", [MIXMAE, MRMAE])
def test_four_channel_images_are_drawn_before_training(model, monkeypatch):
    cfg = Config(copy.deepcopy(model))
    cfg.backbone.in_channels = cfg.decoder.out_channels = 4
    for key in ("mean", "std"):
        del cfg.data_preprocessor[key]
    cfg.data_preprocessor.bgr_to_rgb = False
    dataset = [dict(inputs=torch.zeros(4, 32, 32))] * 3
    runner = SimpleNamespace(
        model=MODELS.build(cfg), train_dataloader=SimpleNamespace(dataset=dataset)
    )
    drawn, draw = [], reconstruction_hook.draw_grid
    monkeypatch.setattr(
        reconstruction_hook, "draw_grid", lambda *given: drawn.append(draw(*given)) or drawn[-1]
    )
    ReconstructionHook(images=2).before_train(runner)
    assert drawn[0].shape[-1] == 3


@pytest.mark.parametrize("place", ["reconstruction_panels", "draw_grid", "add_image"])
def test_failed_picture_does_not_end_training(folder, tmp_path, monkeypatch, place):
    def fail(*_, **__):
        raise RuntimeError("the GPU's memory is full")

    class Failing(Hook):
        def before_train_iter(self, runner, *args, **kwargs):
            where = "mim_plugins.engine.hooks.reconstruction_hook"
            if place == "add_image":
                monkeypatch.setattr(runner.visualizer, place, fail)
            else:
                monkeypatch.setattr(f"{where}.{place}", fail)

    said = []
    monkeypatch.setattr(
        "mim_plugins.engine.hooks.reconstruction_hook.print_log",
        lambda text, **_: said.append(text),
    )
    runner = run(folder, tmp_path / "run", Failing(), hook(interval=1))
    assert runner.epoch == 2
    message = "RuntimeError: the GPU's memory is full"
    assert said == [f"ReconstructionHook: no picture at iteration {n}: {message}" for n in (2, 4)]
    assert runner.model.training


def test_only_the_main_process_draws(monkeypatch):
    monkeypatch.setattr(
        "mim_plugins.engine.hooks.reconstruction_hook.is_main_process", lambda: False
    )
    watcher = ReconstructionHook(interval=1)
    watcher.before_train(None)
    watcher.act(None, 1)  # neither call uses the runner

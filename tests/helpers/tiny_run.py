"""Complete runs: of tiny models on tiny images, and of a single weight on numbers."""

import copy
import itertools

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

IMAGES = 12
_numbers = itertools.count()


@OPTIM_WRAPPERS.register_module(force=True)
class AutocastWrapper(OptimWrapper):
    """Wrapper for bfloat16 on the CPU, which MMEngine's AmpOptimWrapper refuses."""

    def optim_context(self, model):
        return torch.autocast("cpu", dtype=torch.bfloat16)


class Interrupt(Hook):
    """Hook that ends the run after an iteration without saving, like a kill."""

    priority = "LOWEST"

    def __init__(self, iterations):
        self.iterations = iterations

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.iterations:
            raise KeyboardInterrupt


class Counting(Hook):
    """Hook that records images, inner indices, epochs and learning rates."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        inputs = data_batch["inputs"]
        images = torch.stack(list(inputs)).float()
        lr = runner.optim_wrapper.get_lr()["lr"][0]
        self.seen.append((runner.epoch, batch_idx, round(lr, 12), images.sum().item()))


BACKBONE = dict(
    type="mim_plugins.MaskedSwin",
    arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
    img_size=32,
    window_size=4,
    drop_path_rate=0.2,
)
PREPROCESSOR = dict(
    type="mim_plugins.MixDataPreprocessor", mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0]
)
MIXMAE = dict(
    type="mim_plugins.MixMAE",
    backbone=BACKBONE,
    decoder=dict(type="mim_plugins.MixMAEDecoder", embed_dims=16, depth=1, num_heads=2),
    head=dict(type="mim_plugins.PixelHead"),
    data_preprocessor=PREPROCESSOR
    | dict(batch_transform=dict(type="mim_plugins.MixImages", mask_ratio=0.5)),
)
MRMAE = dict(
    type="mim_plugins.MRMAE",
    backbone=dict(
        type="mim_plugins.MaskedViT",
        arch=dict(depth=2, embed_dims=16, num_heads=2),
        img_size=32,
        drop_path_rate=0.2,
    ),
    decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=16, depth=1, num_heads=2),
    head=dict(type="mim_plugins.PixelHead"),
    mask_ratio=0.75,
    mimics={},
    data_preprocessor=PREPROCESSOR,
)


def tiny_config(folder, name, model=MIXMAE, by_epoch=True, workers=0, persistent=False, **changes):
    """Return the config of a run of 2 epochs (or 6 iterations) of 3 iterations of 4 images."""
    loop = (
        dict(type="mim_plugins.ResumableEpochLoop", max_epochs=2)
        if by_epoch
        else dict(type="mim_plugins.ResumableIterLoop", max_iters=6)
    )
    cfg = dict(
        default_scope="mmpretrain",
        experiment_name=f"{folder.name}_{name}_{next(_numbers)}",
        model=copy.deepcopy(model),
        work_dir=str(folder / name),
        train_dataloader=dict(
            batch_size=4,
            num_workers=workers,
            persistent_workers=persistent,
            drop_last=True,
            sampler=dict(type="DefaultSampler" if by_epoch else "InfiniteSampler", shuffle=True),
            collate_fn=dict(type="default_collate"),
            dataset=dict(
                type="mim_plugins.UnlabeledImageFolder",
                data_root=str(folder / "images"),
                pipeline=[
                    dict(type="LoadImageFromFile"),
                    dict(type="RandomResizedCrop", scale=32),
                    dict(type="RandomFlip", prob=0.5),
                    dict(type="PackInputs"),
                ],
            ),
        ),
        train_cfg=loop,
        optim_wrapper=dict(
            type="AutocastWrapper", optimizer=dict(type="AdamW", lr=1e-2, weight_decay=0.05)
        ),
        param_scheduler=[
            dict(type="LinearLR", start_factor=0.1, end=4, by_epoch=False),
            dict(type="CosineAnnealingLR", by_epoch=by_epoch),
        ],
        default_hooks=dict(
            checkpoint=dict(
                type="mim_plugins.AtomicCheckpointHook",
                interval=1,
                by_epoch=False,
                max_keep_ckpts=2,
            ),
            logger=dict(type="LoggerHook", interval=1),
        ),
        custom_hooks=[dict(type="mim_plugins.LossGuardHook")],
        visualizer=dict(type="Visualizer", vis_backends=[]),
        randomness=dict(seed=7, diff_rank_seed=True),
        log_level="ERROR",
    )
    cfg = Config(cfg)
    cfg.merge_from_dict(changes)
    return cfg


def run(cfg, stop_after=None, resume=False, load_from=None):
    """Train; return the final weights and the records, also of a stopped run."""
    cfg = copy.deepcopy(cfg)
    if stop_after is None:
        cfg.default_hooks.checkpoint.interval = 100  # each file takes a while
    cfg.experiment_name += f"_{next(_numbers)}"  # MMEngine keeps loggers by this name
    cfg.resume, cfg.load_from = resume, load_from
    runner = Runner.from_cfg(cfg)
    counting = Counting()
    runner.register_hook(counting)
    if stop_after is not None:
        runner.register_hook(Interrupt(stop_after), priority="LOWEST")
    try:
        runner.train()
    except KeyboardInterrupt:
        assert stop_after is not None
    finally:
        stop_workers(runner)
    return {name: value.clone() for name, value in runner.model.state_dict().items()}, counting.seen


def stop_workers(runner):
    """End the workers now; PyTorch waits 5 s for each that the garbage collector finds."""
    runner.train_loop.dataloader_iterator = None
    vars(runner.train_dataloader)["_iterator"] = None


def run_in_pieces(cfg, stops):
    """Train, stopping after each iteration of ``stops``; return final weights and all records."""
    seen = []
    for number, stop in enumerate([*stops, None]):
        weights, part = run(cfg, stop_after=stop, resume=number > 0)
        seen += part
    return weights, seen


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


class ToyModel(BaseModel):
    """Model of one weight, whose loss is the given function of weight and batch."""

    def __init__(self, loss=lambda weight, inputs: (weight - inputs.mean()).square().sum()):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.loss = loss

    def forward(self, inputs, data_samples=None, mode="loss"):
        return dict(loss=self.loss(self.weight, torch.stack(list(inputs)).float()))


class ToyImages:
    metainfo = {}

    def __len__(self):
        return 8

    def __getitem__(self, index):
        sample = BaseDataElement(metainfo=dict(img_path=f"image_{index}.jpg"))
        return dict(inputs=torch.tensor([float(index)]), data_samples=sample)


def toy_runner(
    work_dir,
    model=None,
    iterations=4,
    hooks=(),
    checkpoint=None,
    model_wrapper_cfg=None,
    runner=Runner,
    train_cfg=None,
    train_dataloader=None,
    **settings,
):
    """Return a ``runner`` of ``iterations`` iterations of 4 images that saves after each."""
    sampler = dict(type="InfiniteSampler", shuffle=False)
    return runner(
        model=model or ToyModel(),
        work_dir=str(work_dir),
        train_dataloader=train_dataloader
        or dict(batch_size=4, dataset=ToyImages(), sampler=sampler),
        train_cfg=train_cfg or dict(type="mim_plugins.ResumableIterLoop", max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(type="mim_plugins.AtomicCheckpointHook", interval=1, by_epoch=False)
            | (checkpoint or {})
        ),
        custom_hooks=list(hooks),
        log_level="WARNING",
        randomness=dict(seed=0),
        experiment_name=f"toy_{next(_numbers)}",  # MMEngine keeps loggers by this name
        cfg=dict(model_wrapper_cfg=model_wrapper_cfg) if model_wrapper_cfg else None,
        **settings,
    )

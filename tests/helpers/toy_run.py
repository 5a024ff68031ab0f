"""A complete run of one weight on numbers, for the tests of hooks."""

import itertools

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

_numbers = itertools.count()


class ToyModel(BaseModel):
    """Its loss is the given function of weight and batch."""

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
    """A ``runner`` of ``iterations`` iterations of 4 images that saves after each."""
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

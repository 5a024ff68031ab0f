"""Runs on several gloo processes against runs on one: losses, gradients, weights, seeds."""

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from free_port import free_port
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tiny_models import TINY_BACKBONES
from torch.utils.data import Dataset

from mim_plugins.cli import process_group
from mim_plugins.masking import MixedImages, MixImages, mix

ROOT = Path(__file__).parents[1]
IMAGES = 16
GLOBAL_BATCH = 8
RANDOMNESS = Config.fromfile(ROOT / "configs/_base_/pretrain_runtime.py").randomness


class NumberedImages(Dataset):
    """Random images; the first pixel is the image's number, the second is drawn for each sample."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.images = torch.randint(0, 256, (IMAGES, 3, 64, 64), generator=generator).float()

    def __len__(self):
        return IMAGES

    def __getitem__(self, index):
        image = self.images[index].clone()
        image[0, 0, 0] = index
        image[0, 0, 1] = torch.rand(())
        return dict(inputs=image)


class PairedMixing:
    """Transform that mixes images i and i + 4 of 8 by a mask per pair, on one process or more."""

    def bind(self, encoder_stride, img_size):
        self.stride = encoder_stride

    def __call__(self, images):
        batch, grid = len(images), images.shape[-1] // self.stride
        partner = (torch.arange(batch) + batch // 2) % batch
        masks = []
        for number in images[:, 0, 0, 0].round().long():
            generator = torch.Generator().manual_seed(int(number) % (GLOBAL_BATCH // 2))
            order = torch.randperm(grid * grid, generator=generator)
            masks.append((order < grid * grid // 2).view(grid, grid))
        images = images / 255
        images[:, 0, 0, 1] = 0
        mask = torch.stack(masks)
        return MixedImages(images, mix(images, mask, partner), mask, partner)


class DrawnMixing(MixImages):
    """Mixing that records the masks and the images' numbers."""

    def __init__(self):
        super().__init__(0.5)
        self.drawn = []

    def __call__(self, images):
        batch = super().__call__(images / 255)
        self.drawn.append(
            dict(
                mask=batch.mask.flatten().tolist(),
                images=images[:, 0, 0, 0].round().long().tolist(),
                augmentation=images[:, 0, 0, 1].tolist(),
            )
        )
        return batch


class Record(Hook):
    """Hook that records all losses, the first weights and the gradients of the first update."""

    def before_train(self, runner):
        self.losses, self.gradients = [], {}
        model = getattr(runner.model, "module", runner.model)
        self.first = {name: value.clone() for name, value in model.state_dict().items()}

        def keep_gradients(*_):
            for name, parameter in model.named_parameters():
                self.gradients.setdefault(name, parameter.grad.clone())

        runner.optim_wrapper.optimizer.register_step_pre_hook(keep_gradients)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(outputs["loss"].item())


def make_runner(work_dir, world, mixing, optimizer, epochs=2, shuffle=False, **options):
    record = Record()
    cfg = Config(
        dict(
            launcher="pytorch" if world > 1 else "none",
            model=dict(
                type="mim_plugins.MixMAE",
                backbone=TINY_BACKBONES["large_windows"],
                decoder=dict(type="mim_plugins.MixMAEDecoder", embed_dims=16, depth=1, num_heads=2),
                head=dict(type="mim_plugins.PixelHead"),
                data_preprocessor=dict(type="mim_plugins.MixDataPreprocessor"),
            ),
            optim_wrapper=dict(
                optimizer=optimizer,
                constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
                paramwise_cfg=dict(layer_decay_rate=0.7),
            ),
        )
    )
    process_group.init_gloo_on_cpu(cfg)
    cfg.model.data_preprocessor.batch_transform = mixing
    runner = Runner(
        model=cfg.model,
        work_dir=str(work_dir),
        launcher=cfg.launcher,
        experiment_name=f"{work_dir.name}{work_dir.parent.name}{world}",
        train_dataloader=dict(
            batch_size=GLOBAL_BATCH // world,
            num_workers=0,
            sampler=dict(type="DefaultSampler", shuffle=shuffle),
            dataset=NumberedImages(),
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=cfg.optim_wrapper,
        custom_hooks=[record],
        randomness=dict(RANDOMNESS),
        default_hooks=dict(checkpoint=dict(type="mim_plugins.AtomicCheckpointHook", interval=1)),
        cfg=dict(model_wrapper_cfg=cfg.get("model_wrapper_cfg")),
        **options,
    )
    return runner, record


def in_process(rank, task, world, port, folder):
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world),
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), CUDA_VISIBLE_DEVICES="",
    )  # fmt: skip
    torch.set_num_threads(1)
    with DefaultScope.overwrite_default_scope("mmengine"):
        torch.save(task(folder, world), folder / f"{task.__name__}_{world}_{rank}.pt")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def on_processes(task, world, folder):
    """Return the results of ``task(folder, world)`` on each of ``world`` processes."""
    arguments = (task, world, free_port(), folder)
    torch.multiprocessing.start_processes(in_process, arguments, world, start_method="fork")
    files = [folder / f"{task.__name__}_{world}_{rank}.pt" for rank in range(world)]
    return [torch.load(file, weights_only=False) for file in files]


def train_on_the_same_pairs(folder, world):
    runner, record = make_runner(
        folder / f"same{world}", world, PairedMixing(), dict(type="SGD", lr=0.1, momentum=0.9)
    )
    runner.train()
    model = getattr(runner.model, "module", runner.model)
    return dict(losses=record.losses, gradients=record.gradients, weights=model.state_dict())


@pytest.mark.parametrize("world", [2, 4])
def test_many_processes_train_as_one_with_the_same_global_batch(tmp_path, world):
    (single,) = on_processes(train_on_the_same_pairs, 1, tmp_path)
    ranks = on_processes(train_on_the_same_pairs, world, tmp_path)

    # sums are taken in another order: float32 rounding is all that differs
    losses = torch.tensor([rank["losses"] for rank in ranks]).mean(0)
    torch.testing.assert_close(losses, torch.tensor(single["losses"]), rtol=1e-5, atol=0)
    assert len({tuple(rank["losses"]) for rank in ranks}) == world
    for rank in ranks:
        for name, gradient in single["gradients"].items():
            torch.testing.assert_close(
                rank["gradients"][name], gradient, rtol=1e-4, atol=1e-6, msg=name
            )
        for name, weight in single["weights"].items():
            torch.testing.assert_close(rank["weights"][name], weight, rtol=1e-4, atol=1e-5)
            assert torch.equal(rank["weights"][name], ranks[0]["weights"][name])


def train_with_random_numbers(folder, world):
    mixing = DrawnMixing()
    runner, record = make_runner(
        folder / f"random{world}", world, mixing, dict(type="SGD", lr=0.0), 1, shuffle=True
    )
    runner.train()
    return dict(rank=get_rank(), drawn=mixing.drawn, first=record.first)


def test_masks_and_augmentations_differ_between_processes(tmp_path):
    (single,) = on_processes(train_with_random_numbers, 1, tmp_path)
    ranks = on_processes(train_with_random_numbers, 2, tmp_path)

    assert [rank["rank"] for rank in ranks] == [0, 1]
    for name, value in ranks[0]["first"].items():
        assert torch.equal(value, ranks[1]["first"][name])
    for one, other, whole in zip(
        ranks[0]["drawn"], ranks[1]["drawn"], single["drawn"], strict=True
    ):
        assert one["mask"] != other["mask"]
        assert not set(one["augmentation"]) & set(other["augmentation"])
        # the processes share out the order of the images that a single one goes through
        assert (one["images"], other["images"]) == (whole["images"][0::2], whole["images"][1::2])
    order = [number for batch in single["drawn"] for number in batch["images"]]
    assert sorted(order) == list(range(IMAGES)) != order


ADAMW = dict(type="AdamW", lr=1e-2, betas=(0.9, 0.95), weight_decay=0.05)
RECIPE = Config.fromfile(ROOT / "configs/mixmae/swin_h_600e_zero.py")
ZERO = dict(RECIPE.optim_wrapper.optimizer, lr=ADAMW["lr"])


def train_with_zero(folder, world):
    """Train two epochs at once, without and with ZeRO, and with ZeRO in two parts."""
    weights, states = {}, []
    for name, optimizer, parts in (
        ("plain", dict(ADAMW, fused=RECIPE.optim_wrapper.optimizer.fused), [2]),
        ("zero", ZERO, [2]),
        ("two", ZERO, [1, 2]),
    ):
        for epochs in parts:
            runner, _ = make_runner(
                folder / name, world, PairedMixing(), optimizer, epochs, resume=epochs != parts[0]
            )
            runner.train()
        weights[name] = runner.model.module.state_dict()
        states.append(sum(len(state) > 0 for state in _local_state(runner).values()))
    return dict(weights=weights, states=states)


def _local_state(runner):
    optimizer = runner.optim_wrapper.optimizer
    return getattr(optimizer, "optim", optimizer).state


def test_zero_gives_the_same_weights_resumed_or_not(tmp_path):
    ranks = on_processes(train_with_zero, 2, tmp_path)

    for rank in ranks:
        for name, weight in rank["weights"]["plain"].items():
            assert torch.equal(rank["weights"]["zero"][name], weight), name
            assert torch.equal(rank["weights"]["two"][name], weight), name
    whole = ranks[0]["states"][0]
    assert sum(rank["states"][1] for rank in ranks) == whole
    assert all(0 < rank["states"][1] < whole for rank in ranks)
    saved = {
        name: torch.load(tmp_path / name / "epoch_2.pth", weights_only=False)["optimizer"]
        for name in ("plain", "zero")
    }
    assert len(saved["zero"]["state"]) == len(saved["plain"]["state"]) == whole
    assert [len(group["params"]) for group in saved["zero"]["param_groups"]] == [
        len(group["params"]) for group in saved["plain"]["param_groups"]
    ]

"""Models, hooks and data sets go through pickle and deepcopy, also after they were used."""

import copy
import pickle

import pytest
import torch
from image_folders import write_images
from mrmae_fakes import BACKBONES, HIDDEN_TARGET, random_pixels
from tiny_models import TINY_BACKBONES
from tiny_run import MIXMAE, MRMAE

from mim_plugins.registry import DATASETS, HOOKS, MODELS

COPIES = dict(pickle=lambda thing: pickle.loads(pickle.dumps(thing)), deepcopy=copy.deepcopy)
MIMICKING = MRMAE | dict(
    backbone=BACKBONES["vit"],
    mimics=dict(clip=dict(target_generator=HIDDEN_TARGET)),
    focus_teacher="clip",
)
ENCODERS = TINY_BACKBONES | BACKBONES
HOOK_ARGUMENTS = dict(
    AtomicCheckpointHook={}, CorruptImageHook={}, LossGuardHook={}, PreemptionHook={},
    RunSummaryHook={}, StallWatchdogHook={}, ThroughputHook={}, ReconstructionHook={},
    KNNHook=dict(references=dict(data_root="a"), queries=dict(data_root="b")),
)  # fmt: skip


def build(cfg):
    return MODELS.build(copy.deepcopy(cfg))


@pytest.fixture(params=sorted(COPIES))
def copied(request):
    return COPIES[request.param]


@pytest.mark.parametrize(
    ("cfg", "cells"), [(MIXMAE, 2), (MRMAE, 2), (MIMICKING, 6)], ids=["mixmae", "mrmae", "mimics"]
)
def test_algorithms_have_equal_losses_after_a_copy(cfg, cells, copied):
    model = build(cfg)
    pixels = list(random_pixels(2, cells, cells))

    def loss(model):
        torch.manual_seed(0)
        data = model.data_preprocessor(dict(inputs=pixels, data_samples=None), training=True)
        return sum(model(data["inputs"], mode="loss").values())

    other = copied(model)
    expected = loss(model)
    expected.backward()
    assert torch.equal(loss(other), expected)
    assert torch.equal(loss(copied(model)), expected)


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_encoders_have_equal_features_after_a_copy(name, copied):
    encoder = build(ENCODERS[name]).eval()
    images = torch.rand(2, 3, *encoder.img_size)
    other = copied(encoder)
    expected = encoder(images)
    assert all(map(torch.equal, other(images), expected))
    assert all(map(torch.equal, copied(encoder)(images), expected))
    # the hook that resizes position embeddings belongs to the copy
    larger = build(ENCODERS[name] | dict(img_size=2 * encoder.img_size[0]))
    larger = copied(larger)
    larger.load_state_dict(encoder.state_dict())


@pytest.mark.parametrize("name", sorted(HOOK_ARGUMENTS))
def test_hooks_can_be_copied(name, copied):
    hook = HOOKS.build(dict(type=name, **HOOK_ARGUMENTS[name]))
    assert type(copied(hook)) is type(hook)


def test_data_sets_can_be_copied(tmp_path, copied):
    write_images(tmp_path, 2)
    scope = "mim_plugins"
    pipeline = [
        dict(type=f"{scope}.LoadRandomResizedCrop", scale=16),
        dict(type=f"{scope}.PackInputs"),
    ]
    dataset = DATASETS.build(
        dict(type="UnlabeledImageFolder", data_root=str(tmp_path), pipeline=pipeline)
    )
    dataset[0]
    assert copied(dataset)[1]["inputs"].shape == (3, 16, 16)

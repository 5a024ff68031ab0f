"""A reader follows one training step of each method through few files."""

import json
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import TINY_BACKBONES

import mim_plugins
from mim_plugins.registry import MODELS

PACKAGE = Path(mim_plugins.__file__).parent
DECODER = dict(embed_dims=16, depth=1, num_heads=2)
NORMALIZATION = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
VIT = dict(
    type="mim_plugins.MaskedViT", arch=dict(depth=2, embed_dims=16, num_heads=2), img_size=64
)
CLIP = dict(
    type="mim_plugins.OpenCLIPTarget",
    model_name="tiny-clip-of-step",
    pretrained=None,
    features="norm",
    normalize=True,
)
CLIP_CONFIG = dict(
    embed_dim=16,
    vision_cfg=dict(image_size=64, patch_size=16, width=32, layers=2, head_width=8),
    text_cfg=dict(context_length=8, vocab_size=64, width=16, heads=2, layers=1),
    custom_text=True,
)


def files_of_step(model):
    """Return the files of the package with a function that runs in one training step."""
    images = list(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    files = set()

    def profile(frame, event, _):
        if event == "call":
            files.add(frame.f_code.co_filename)

    model.train()
    sys.setprofile(profile)
    try:
        batch = model.data_preprocessor(dict(inputs=images), training=True)
        losses = model(**batch, mode="loss")
    finally:
        sys.setprofile(None)
    assert all(loss.isfinite() for loss in losses.values())
    return sorted(
        str(Path(file).relative_to(PACKAGE)) for file in files if Path(file).is_relative_to(PACKAGE)
    )


def test_a_mixmae_step_runs_through_at_most_16_files():
    model = MODELS.build(
        dict(
            type="mim_plugins.MixMAE",
            backbone=TINY_BACKBONES["large_windows"],
            decoder=dict(type="mim_plugins.MixMAEDecoder", **DECODER),
            head=dict(type="mim_plugins.PixelHead"),
            data_preprocessor=dict(
                type="mim_plugins.MixDataPreprocessor",
                batch_transform=dict(type="mim_plugins.MixImages"),
                **NORMALIZATION,
            ),
        )
    )

    files = files_of_step(model)

    assert "backbones/masked_swin.py" in files
    assert len(files) <= 16, files


def test_an_mrmae_step_with_clip_runs_through_at_most_15_files(tmp_path):
    open_clip = pytest.importorskip("open_clip")
    (tmp_path / "tiny-clip-of-step.json").write_text(json.dumps(CLIP_CONFIG))
    open_clip.add_model_config(tmp_path)
    model = MODELS.build(
        dict(
            type="mim_plugins.MRMAE",
            backbone=VIT,
            decoder=dict(type="mim_plugins.MAEDecoder", **DECODER),
            head=dict(type="mim_plugins.PixelHead"),
            mimics=dict(clip=dict(target_generator=CLIP)),
            data_preprocessor=dict(type="mim_plugins.MixDataPreprocessor", **NORMALIZATION),
        )
    )

    files = files_of_step(model)

    assert "targets/target_generator.py" in files
    assert len(files) <= 15, files

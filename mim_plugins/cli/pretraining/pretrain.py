"""Pre-training on own images with automatic settings."""

import os
from collections.abc import Sequence
from functools import partial

import torch
from mmengine.config import Config

from ...analysis import step_cost
from ...apis import build_model
from ...datasets.image_files import suffixes_read
from ...errors import ConfigError
from ..labeled_survey import survey_labeled
from ..machine import this_machine
from ..model_report import BYTES_PER_PARAMETER
from ..own_runs import check_out, write_config
from ..sizes import format_size
from ..training import train, train_arguments
from .config_text import config_text
from .image_survey import survey_images
from .run_results import RunResults, write_results
from .settings import Settings, resolve_settings

_SMALLEST_BATCH = 2
_USABLE = 0.8  # share of the memory; activations are counted without temporary buffers


def pretrain(
    data: str | os.PathLike | Sequence[str | os.PathLike],
    method: str = "mixmae",
    arch: str | None = None,
    img_size: int | Sequence[int] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    teacher: str | None = None,
    out: str | os.PathLike | None = None,
    overwrite: bool = False,
    config_only: bool = False,
    channels: int | None = None,
    shown_bands: Sequence[int] | None = None,
    val: str | os.PathLike | None = None,
    split: str = "train",
) -> RunResults:
    """Pre-train an encoder on folders or archives of images, as ``mim-plugins pretrain`` does.

    The settings that are None depend on the images and on the machine; they are printed. The
    config is written next to the work folder, and ``tools/train.py`` runs it.

    Args:
        data: one or several folders of images, of any depth, lists or archives; ``"DATA:2"`` reads
            each image twice per epoch.
        method: ``'mixmae'``, ``'mrmae'`` or ``'mae'``.
        arch: encoder: ``'swin-t'`` to ``'swin-h'`` or ``'pvt-t'`` to ``'pvt-l'`` for MixMAE,
            ``'vit-t'`` to ``'vit-h'`` or ``'mcmae-s'`` to ``'mcmae-h'`` for the others.
        img_size: side of the training images, or (H, W), in pixels.
        epochs: passes over the images.
        batch_size: images per iteration.
        teacher: ``'clip'``, ``'dino'``, ``'dinov2'`` or a pretrained model of timm.
        out: work folder.
        overwrite: replace an earlier run in ``out``.
        config_only: write the config without training.
        channels: number of bands, for images that are not 8-bit RGB; see :class:`Bands`.
        shown_bands: one or three bands that pictures show, counted from 0.
        val: folder of labeled images, ``train/CLASS/IMAGE`` and ``val/CLASS/IMAGE``, on which
            :class:`KNNHook` evaluates the encoder during training.
        split: folder or archive in ``data`` that is read alone if it exists; ``""`` reads all.

    Returns:
        Paths of the files that the run wrote.

    Raises:
        DataNotFoundError: a folder or archive does not exist or has no readable image.
        ConfigError: a setting is wrong, or does not fit the images.
        WorkDirError: ``out`` contains a run.
    """
    folders = [data] if isinstance(data, (str, os.PathLike)) else list(data)
    if not folders:
        raise ConfigError("data: give at least one folder of images or archive")
    machine, survey = this_machine(), survey_images(folders, channels, split)
    resolve = partial(
        resolve_settings,
        *(survey, machine, method, arch, img_size, epochs),
        teacher=teacher,
        out=out,
        shown_bands=shown_bands,
        labeled=None if val is None else survey_labeled(val, suffixes_read(channels)),
    )
    settings = resolve(batch_size=batch_size)
    check_out(settings.out, overwrite)
    if batch_size is None:
        settings = resolve(batch_size=_batch_that_fits(settings, machine.memory))
    write_config(settings.out, config_text(settings), overwrite)
    print(f"{settings.describe()}\nconfig: {settings.config}", flush=True)
    note = settings.size.shape_note(survey.aspect_ratio)
    if note:
        print(f"note: {note}", flush=True)
    if config_only:
        return RunResults(settings.config)
    runner = train(train_arguments(settings.config, settings.out, overwrite=overwrite))
    return write_results(runner, settings.config)


def _batch_that_fits(settings: Settings, memory: int) -> int:
    """Halve the batch until weights, optimizer and activations fit the memory in bytes.

    Raises:
        ConfigError: not even the smallest batch fits.
    """
    cfg = Config.fromstring(config_text(settings), ".py")
    with torch.device("meta"):
        model = build_model(cfg, teachers=False).train()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    per_image = step_cost(model, model.backbone.img_size).memory
    available = _USABLE * memory - BYTES_PER_PARAMETER * parameters
    batch = settings.batch_size
    while batch > _SMALLEST_BATCH and batch * per_image > available:
        batch //= 2
    needed = batch * per_image + BYTES_PER_PARAMETER * parameters
    if needed > memory:
        raise ConfigError(
            f"img_size {format_size(settings.size.shape)} and arch {settings.arch} need"
            f" {needed / 2**30:.1f} GiB for a batch of {batch}, and {memory / 2**30:.1f} are"
            f" available: choose a smaller size or encoder, or try it with --batch-size {batch}"
        )
    return batch

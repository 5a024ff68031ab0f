"""Fine-tuning on own labeled images with automatic settings."""

import os
from pathlib import Path

from mmengine.config import Config

from ...apis import describe_checkpoint, read_config
from ...datasets.image_files import suffixes_read
from ...datasets.wrappers import loading_bands
from ...errors import CheckpointError, ConfigError
from ...file_names import printable
from ...registry import SCOPE
from ...wording import counted
from ..labeled_survey import survey_labeled
from ..machine import this_machine
from ..own_runs import (
    automatic_batch,
    automatic_epochs,
    check_out,
    safe_name,
    write_config,
)
from ..pretraining.run_results import write_results
from ..training import train, train_arguments
from ..work_folder_runs import find_run_config
from .config_text import Settings, config_text

_LARGEST_BATCH = {True: 128, False: 32}  # with a GPU, without
_UPDATES = {True: 10_000, False: 600}
_EPOCHS = {True: (30, 100), False: (10, 100)}


def finetune(
    data: str | os.PathLike,
    checkpoint: str | os.PathLike,
    config: str | os.PathLike | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    out: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> Path:
    """Fine-tune an encoder, as ``mim-plugins finetune`` does, and return the run's config.

    Args:
        data: folder or archive with ``train/CLASS/IMAGE`` and ``val/CLASS/IMAGE``, or a folder
            with archives of both.
        checkpoint: checkpoint or exported encoder of a pre-training.
        config: config of the pre-training; by default the description or the config in
            ``checkpoint``, or else that of its work folder.
        epochs: passes over the images; None for an automatic number.
        batch_size: images per iteration, an even number; None for an automatic number.
        out: work folder.
        overwrite: replace an earlier run in ``out``.

    Raises:
        DataNotFoundError: a folder is missing or contains no images.
        CheckpointError: the checkpoint does not exist or is corrupt.
        ConfigError: a setting is wrong, or the config is not one of pre-training.
        WorkDirError: ``out`` contains a run, or the config of the pre-training is not found.
    """
    weights = Path(os.path.abspath(Path(checkpoint).expanduser()))
    if not weights.is_file():
        raise CheckpointError(f"there is no checkpoint '{printable(checkpoint)}'")
    machine = this_machine()
    pretrained = _pretraining_config(weights, config)
    bands = loading_bands(pretrained.train_dataloader.dataset)
    labeled = survey_labeled(data, suffixes_read(bands))
    largest = _LARGEST_BATCH[machine.has_gpu]
    batch = automatic_batch(labeled.images, 2, largest) if batch_size is None else batch_size
    if not 2 <= batch <= labeled.images or batch % 2:
        raise ConfigError(
            f"batch_size {batch} must be even, from 2 to the number of training images,"
            f" {labeled.images}"
        )
    if epochs is None:
        limits, updates = _EPOCHS[machine.has_gpu], _UPDATES[machine.has_gpu]
        epochs = automatic_epochs(labeled.images // batch, updates, limits)
    if epochs < 1:
        raise ConfigError(f"epochs {epochs} must be at least 1")
    name = safe_name(Path(labeled.root).stem)
    folder = Path("work_dirs", f"finetune_{name}") if out is None else Path(out).expanduser()
    check_out(folder, overwrite)
    settings = Settings(labeled, weights, batch, epochs, machine.workers, folder)
    path = write_config(folder, config_text(settings, pretrained), overwrite)
    print(
        f"{labeled.images} images of {labeled.classes} classes, batches of {batch},"
        f" {counted(epochs, 'epoch')}\nconfig: {path}",
        flush=True,
    )
    runner = train(train_arguments(path, folder, overwrite=overwrite))
    write_results(runner, path)
    return path


def _pretraining_config(weights: Path, config: str | os.PathLike | None) -> Config:
    if config:
        return read_config(Path(config))
    description = describe_checkpoint(weights)
    if description is None:
        return read_config(find_run_config(weights.parent))
    backbone = dict(description.backbone, type=f"{SCOPE}.{description.backbone['type']}")
    images = description.preprocessing
    preprocessor = dict(mean=images.mean, std=images.std, bgr_to_rgb=images.channel_order == "rgb")
    load = dict(type=f"{SCOPE}.LoadImage", bands=images.bands)
    return Config(
        dict(
            model=dict(backbone=backbone, data_preprocessor=preprocessor),
            train_dataloader=dict(dataset=dict(pipeline=[load])),
        )
    )

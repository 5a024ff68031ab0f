"""Settings of ``mim-plugins pretrain``: those given, and automatic values for the others."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...archives import format_of_suffix
from ...datasets.image_places import LIST_SUFFIX
from ...datasets.splits import plain_split, similar_split
from ...errors import ConfigError
from ...wording import counted
from ..labeled_survey import LabeledSurvey
from ..machine import Machine
from ..own_runs import automatic_batch, automatic_epochs, config_path, safe_name
from .image_size import ImageSize, automatic_image_size, fit_image_size
from .image_survey import ImageSurvey
from .methods import METHODS, TITLES, arch_names, choose_name, choose_teacher

_MANY_IMAGES = 50_000  # from here on, a GPU trains a base encoder by default
_LARGEST_BATCH = {True: 256, False: 16}  # with a GPU, without
_UPDATES = {True: 20_000, False: 600}
_EPOCHS = {True: (300, 1600), False: (10, 300)}
_IMG_SIZE = {True: 224, False: 128}
_WARMUP_SHARE = 1 / 15  # 40 of 600 epochs, as in MixMAE's recipe
_MAX_WARMUP = 40
_USUAL = {"data", "images", "imgs", "jpegimages", "jpg"}  # folders in many data sets


class Settings(NamedTuple):
    """Settings of a run."""

    method: str
    arch: str
    teacher: str | None
    survey: ImageSurvey
    size: ImageSize
    batch_size: int
    epochs: int
    workers: int
    out: Path
    """Work folder; the config is the file next to it with the suffix ``.py``."""
    shown_bands: tuple[int, ...] = ()
    """Bands that pictures show, for images of several bands."""
    labeled: LabeledSurvey | None = None
    """Labeled images that evaluate the encoder during training."""

    @property
    def channels(self) -> int | None:
        """Channels of the images, None for 8-bit colors."""
        measured = self.survey.statistics
        return None if measured is None else len(measured.mean)

    @property
    def steps(self) -> int:
        """Iterations per epoch."""
        return self.survey.images // self.batch_size

    @property
    def warmup(self) -> int:
        """Epochs of warm-up, 0 for a run of one epoch."""
        share = round(self.epochs * _WARMUP_SHARE)
        return min(max(share, 1), _MAX_WARMUP, self.epochs - 1)

    @property
    def config(self) -> Path:
        """Path of the run's config."""
        return config_path(self.out)

    def describe(self) -> str:
        """Return the settings in two lines, or three with labeled images."""
        labeled = (
            f"\nfeatures evaluated with {self.labeled.images} labeled images of"
            f" {self.labeled.classes} classes"
            if self.labeled
            else ""
        )
        teacher = f", teacher {self.teacher}" if self.teacher else ""
        bands = f", {counted(self.channels, 'channel')}" if self.channels else ""
        return (
            f"{TITLES[self.method]}, {self.arch}{teacher}{bands}, {self.size.describe()}\n"
            f"{counted(self.survey.images, 'image')}, batches of {self.batch_size},"
            f" {counted(self.epochs, 'epoch')} of {counted(self.steps, 'iteration')}"
            f" ({self.warmup} of warm-up), {counted(self.workers, 'worker')}{labeled}"
        )


def choose_method_and_arch(
    method: str, arch: str | None, images: int, machine: Machine
) -> tuple[str, str]:
    """Return the checked names of method and encoder.

    Raises:
        ConfigError: a name is unknown.
    """
    method = choose_name("method", method, METHODS)
    if arch is not None:
        return method, choose_name("arch", arch, arch_names(method))
    size = "t" if not machine.has_gpu else "b" if images >= _MANY_IMAGES else "s"
    return method, f"{METHODS[method][0]}-{size}"


def resolve_settings(
    survey: ImageSurvey,
    machine: Machine,
    method: str = "mixmae",
    arch: str | None = None,
    img_size: int | Sequence[int] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    teacher: str | None = None,
    out: str | os.PathLike | None = None,
    shown_bands: Sequence[int] | None = None,
    labeled: LabeledSurvey | None = None,
) -> Settings:
    """Check the given settings and choose the others.

    Raises:
        ConfigError: a setting is wrong or does not fit the images.
    """
    for name, value, smallest in (("epochs", epochs, 1), ("batch_size", batch_size, 1)):
        if value is not None and value < smallest:
            raise ConfigError(f"{name} {value} must be at least {smallest}")
    method, arch = choose_method_and_arch(method, arch, survey.images, machine)
    shown = _check_bands(survey, method, teacher, shown_bands)
    teacher = choose_teacher(method, teacher)
    if img_size is None:
        size = automatic_image_size(arch, _IMG_SIZE[machine.has_gpu], survey.short_side)
    else:
        size = fit_image_size(arch, img_size)
    batch_size = _check_batch(method, survey.images, batch_size, machine)
    steps = survey.images // batch_size
    if epochs is None:
        epochs = automatic_epochs(steps, _UPDATES[machine.has_gpu], _EPOCHS[machine.has_gpu])
    folder = Path(out).expanduser() if out is not None else _default_folder(method, arch, survey)
    return Settings(
        *(method, arch, teacher, survey, size, batch_size, epochs, machine.workers, folder),
        shown_bands=shown,
        labeled=labeled,
    )


def _check_bands(
    survey: ImageSurvey, method: str, teacher: str | None, shown: Sequence[int] | None
) -> tuple[int, ...]:
    """Return the bands that pictures show: the given ones, or the first three or one."""
    if survey.statistics is None:
        if shown is not None:
            raise ConfigError("shown_bands needs channels, the number of bands of the images")
        return ()
    channels = len(survey.statistics.mean)
    if teacher is not None or method == "mrmae":
        raise ConfigError(
            f"teacher '{teacher or 'clip'}' reads 8-bit RGB images: leave channels={channels} out,"
            " or use method mixmae or mae without a teacher"
        )
    if shown is None:
        return (0, 1, 2) if channels >= 3 else (0,)
    if len(shown) not in (1, 3) or not all(0 <= band < channels for band in shown):
        raise ConfigError(
            f"shown_bands {tuple(shown)} must be one or three bands from 0 to {channels - 1}"
        )
    return tuple(shown)


def _check_batch(method: str, images: int, batch_size: int | None, machine: Machine) -> int:
    smallest = 2 if method == "mixmae" else 1  # an image is never mixed with itself
    if images < smallest:
        raise ConfigError(f"data: MixMAE mixes pairs of images, and there is only {images}")
    if batch_size is not None:
        if not smallest <= batch_size <= images:
            raise ConfigError(
                f"batch_size {batch_size} must be from {smallest} to the number of images, {images}"
            )
        return batch_size
    return automatic_batch(images, smallest, _LARGEST_BATCH[machine.has_gpu])


def _default_folder(method: str, arch: str, survey: ImageSurvey) -> Path:
    part = survey.parts[0]
    return Path(
        "work_dirs", f"{method}_{arch}_{safe_name(_name(Path(part.ann_file or part.root)))}"
    )


def _name(path: Path) -> str:
    """Return the name of data, with that of the folder around a split or a usual name."""
    is_file = path.name.endswith(LIST_SUFFIX) or format_of_suffix(path.name)
    name = path.stem if is_file else path.name
    if path == path.parent or not (similar_split(name) or name.lower() in _USUAL):
        return name
    outer = _name(path.parent)
    return outer if plain_split(name) == "train" else f"{outer}_{name}"

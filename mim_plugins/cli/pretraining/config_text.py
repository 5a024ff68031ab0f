"""Config file of a run, written by ``mim-plugins pretrain``."""

import shlex
from typing import Any

from ...file_names import printable
from ..channel_report import short
from ..commands.names import PROGRAM
from ..config_source import Expression, literal
from ..own_runs import WRITTEN_BY, evaluation_hook, reporting_hooks
from ..sizes import config_size
from .methods import TEACHERS, TITLES, base_config, family_of, size_name, target_generator
from .settings import Settings

_SMALL_DECODER = dict(embed_dims=256, depth=4, num_heads=8)
_TEACHER_PATCH = 16
_RGB = 3


def config_text(settings: Settings) -> str:
    """Return the content of a config that inherits from a recipe, for ``tools/train.py``."""
    run, config = (printable(shlex.quote(str(p))) for p in (settings.out, settings.config))
    base = base_config(settings.method, settings.arch, settings.teacher)
    parts = [
        f"# {TITLES[settings.method]} on own images, {WRITTEN_BY} pretrain.\n"
        f"# Continue:  {PROGRAM} resume {run}\n"
        f"# Again:     python tools/train.py {config} --overwrite\n",
        f"_base_ = f\"{{__import__('mim_plugins').CONFIG_DIR}}/{base}.py\"\n",
        f"batch_size = {settings.batch_size}",
        f"epochs = {settings.epochs}",
        f"warmup_epochs = {settings.warmup}\n",
        *_band_lines(settings),
        f"model = {literal(_model(settings))}",
        f"crop = dict(_base_.train_pipeline[0], {_crop(settings)})",
        "train_pipeline = [crop, *_base_.train_pipeline[1:]]",
        f"train_dataloader = {literal(_loader(settings))}",
        "# the recipe's rate per 256 images",
        "optim_wrapper = dict(optimizer=dict(lr=_base_.base_lr * batch_size / 256))",
        "auto_scale_lr = dict(base_batch_size=batch_size)",
        f"param_scheduler = {_schedule(settings)}",
        "train_cfg = dict(max_epochs=epochs)",
        f"default_hooks = {literal(_hooks(settings))}",
    ]
    return "\n".join(parts) + "\n"


def _band_lines(settings: Settings) -> list[str]:
    """Return the variables of images of several bands, of which loader and model are made."""
    measured = settings.survey.statistics
    if measured is None:
        return []
    mean, std = short(measured.mean), short(measured.std)
    return [
        f"channels = {settings.channels}",
        f"# of {measured.images} images; missing values become the mean",
        f"pixel_mean = {literal(mean)}",
        f"pixel_std = {literal(std)}",
        "bands = dict(channels=channels, fill=pixel_mean)\n",
    ]


def _crop(settings: Settings) -> str:
    scale = f"scale={config_size(settings.size.shape)}"
    return scale if settings.channels is None else f"{scale}, bands=bands"


def _model(settings: Settings) -> dict[str, Any]:
    family, size = family_of(settings.arch), settings.size
    backbone: dict[str, Any] = dict(arch=size_name(settings.arch), img_size=config_size(size.shape))
    if family in ("swin", "vit"):
        backbone["patch_size"] = size.patch
    if family == "swin":
        backbone["window_size"] = list(size.windows)
    if settings.teacher and family == "pvt":
        backbone = dict(_delete_=True, type="mim_plugins.MaskedPVT", **backbone)
    model: dict[str, Any] = dict(backbone=backbone)
    if settings.channels is not None:
        backbone["in_channels"] = Expression("channels")
        model["data_preprocessor"] = dict(
            mean=Expression("pixel_mean"),
            std=Expression("pixel_std"),
            bgr_to_rgb=settings.channels == _RGB,
            shown_bands=settings.shown_bands,
        )
    if settings.arch.endswith("-t"):
        model["decoder"] = _SMALL_DECODER
    if settings.method == "mae":
        model["mimics"] = None
    if settings.teacher:
        model["mimics"] = _mimics(settings.teacher, size.cell)
    return model


def _mimics(teacher: str, cell: int) -> dict[str, Any]:
    """Return the mimic of a teacher, whose patches have 16 pixels or are resized to that."""
    name = teacher if teacher in TEACHERS else "timm"
    target = target_generator(teacher) or Expression("_base_.clip_target")
    mimic = dict(target_generator=target, grid_scale=max(cell // _TEACHER_PATCH, 1))
    return {"_delete_": True, name: mimic}


def _loader(settings: Settings) -> dict[str, Any]:
    pipeline = Expression("train_pipeline")
    kind = dict(type="mim_plugins.UnlabeledImageFolder", on_corrupt="replace", pipeline=pipeline)
    parts = settings.survey.parts
    datasets = [
        dict(kind, data_root=part.root, data_prefix=dict(img_path=part.split))
        | (dict(ann_file=part.ann_file) if part.ann_file else {})
        for part in parts
    ]
    dataset = dict(_delete_=True, **datasets[0])
    weights = [part.weight for part in parts]
    is_mixed = any(weight != 1 for weight in weights)
    if len(parts) > 1 or is_mixed:
        dataset = dict(_delete_=True, type="ConcatDataset", datasets=datasets)
    loader = dict(batch_size=Expression("batch_size"), num_workers=settings.workers)
    if is_mixed:
        loader["sampler"] = dict(_delete_=True, type="mim_plugins.MixtureSampler", weights=weights)
    return dict(loader, dataset=dataset)


def _hooks(settings: Settings) -> dict[str, Any]:
    hooks = reporting_hooks(settings.steps, settings.epochs)
    if settings.labeled is not None:
        hooks["knn"] = evaluation_hook(settings.labeled, settings.epochs, settings.workers)
    return hooks


def _schedule(settings: Settings) -> str:
    warmup = "dict(_base_.param_scheduler[0], end=warmup_epochs)"
    cosine = "dict(_base_.param_scheduler[1], begin=warmup_epochs)"
    return f"[{cosine}]" if not settings.warmup else f"[\n    {warmup},\n    {cosine},\n]"

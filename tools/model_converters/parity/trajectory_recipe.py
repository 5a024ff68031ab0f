"""Shipped recipes with the sizes and lengths of a reference's training run."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mmengine.config import Config

from mim_plugins.checkpoints.layouts import MCMAE_AUTHORS, MIXMIM_AUTHORS, Layout
from mim_plugins.paths import CONFIG_DIR

from .reference_sizes import mcmae_sizes, mixmim_sizes, with_defaults

_SETTINGS = dict.fromkeys(
    ("method", "model", "steps", "iterations_per_epoch", "lr", "min_lr", "warmup_epochs",
     "epochs", "weight_decay", "betas", "mean", "std")
)  # fmt: skip
_WITHOUT_LAYER_DECAY = dict(layer_decay=1.0)
_COUNT = ("a whole number of at least 1", lambda value: isinstance(value, int) and value >= 1)
_POSITIVE = ("above 0", lambda value: value > 0)
_NOT_NEGATIVE = ("at least 0", lambda value: value >= 0)
_CHANNELS = ("a list of three numbers", lambda value: len([float(each) for each in value]) == 3)
_REQUIREMENTS: dict[str, tuple[str, Callable[[Any], bool]]] = dict(
    model=("a dict of sizes", lambda value: isinstance(value, dict)),
    steps=_COUNT,
    iterations_per_epoch=_COUNT,
    epochs=_COUNT,
    lr=_POSITIVE,
    min_lr=_NOT_NEGATIVE,
    warmup_epochs=_NOT_NEGATIVE,
    weight_decay=_NOT_NEGATIVE,
    betas=("a list of two numbers", lambda value: len([float(each) for each in value]) == 2),
    mean=_CHANNELS,
    std=_CHANNELS,
)


class Kind(NamedTuple):
    """Kind of training run, named by ``method`` of a reference."""

    recipe: str
    """Config that is compared, relative to ``CONFIG_DIR``."""
    layout: Layout
    """Names of the reference's parameters."""
    sizes: Callable[[dict, bool], dict]
    is_pretraining: bool


KINDS = dict(
    mixmim_pretrain=Kind("mixmae/swin_b_600e.py", MIXMIM_AUTHORS, mixmim_sizes, True),
    mixmim_finetune=Kind("mixmae/swin_b_finetune_100e.py", MIXMIM_AUTHORS, mixmim_sizes, False),
    # MR-MAE without teachers is MCMAE
    mcmae_pretrain=Kind("mrmae/mcmae_b_400e.py", MCMAE_AUTHORS, mcmae_sizes, True),
    mcmae_finetune=Kind("mrmae/mcmae_b_finetune_100e.py", MCMAE_AUTHORS, mcmae_sizes, False),
)


def read_settings(given: Any) -> dict:
    """Return the settings of a reference's training run, all of them present and known.

    Raises:
        ValueError: settings are missing or unknown, or ``method`` is none of :data:`KINDS`.
    """
    # null means the same as 1.0, the default
    if isinstance(given, dict) and given.get("layer_decay", 1.0) is None:
        given = given | _WITHOUT_LAYER_DECAY
    settings = with_defaults(given, _SETTINGS | _WITHOUT_LAYER_DECAY)
    if settings["method"] not in KINDS:
        raise ValueError(f"method={settings['method']!r} must be one of {', '.join(KINDS)}")
    for key, (requirement, is_met) in _REQUIREMENTS.items():
        try:
            fits = is_met(settings[key])
        except TypeError:
            fits = False
        if not fits:
            raise ValueError(f"{key}={settings[key]!r} must be {requirement}")
    _check_lengths(settings)
    return settings


def _check_lengths(settings: dict) -> None:
    steps, epochs, length, warmup = (
        settings[key] for key in ("steps", "epochs", "iterations_per_epoch", "warmup_epochs")
    )
    if steps > epochs * length:
        raise ValueError(
            f"steps={steps} must be at most {epochs * length}, the iterations of epochs={epochs}"
        )
    iterations = warmup * length
    if warmup < epochs and abs(iterations - round(iterations)) > 1e-6:
        raise ValueError(
            f"warmup_epochs={warmup} of {length} iterations are {iterations:g} iterations, but"
            " the recipe's cosine begins at a whole iteration"
        )


def read_recipe(settings: dict, img_size: int, num_classes: int | None) -> tuple[Config, list[str]]:
    """Read the recipe of a reference's method and give it the sizes and lengths of the reference.

    Optimizer, parameter groups, schedule, losses and normalization remain the recipe's.
    The precision is float32, and there is neither stochastic depth nor a teacher.

    Args:
        settings: result of :func:`read_settings`.
        img_size: side of the reference's images, unless the settings contain it.
        num_classes: classes of the reference's targets; None in pre-training.

    Returns:
        The config, and a text for each hyperparameter that differs between recipe and reference.

    Raises:
        ValueError: sizes are missing or unknown.
    """
    kind = KINDS[settings["method"]]
    cfg = Config.fromfile(CONFIG_DIR / kind.recipe)
    sizes = kind.sizes(dict(img_size=img_size) | settings["model"], kind.is_pretraining)
    cfg.model.backbone.pop("arch")
    cfg.model.backbone.update(sizes["backbone"])
    if kind.is_pretraining:
        cfg.model.decoder.update(sizes["decoder"])
        cfg.model.head.update(sizes["head"])
        cfg.model.mimics = None
    else:
        dims, stages = sizes["backbone"]["arch"]["embed_dims"], sizes["backbone"]["arch"]["depths"]
        width = dims[-1] if isinstance(dims, list) else dims * 2 ** (len(stages) - 1)
        cfg.model.train_cfg = None  # the reference's images and targets are augmented already
        cfg.model.backbone.update(drop_path_rate=0.0, init_cfg=None)
        cfg.model.head.update(in_channels=width, num_classes=num_classes)
        cfg.model.data_preprocessor = cfg.data_preprocessor | dict(num_classes=num_classes)
    return cfg, _set_hyperparameters(cfg, settings)


def _set_hyperparameters(cfg: Config, settings: dict) -> list[str]:
    """Replace the recipe's hyperparameters with the reference's; return a text per difference."""
    wrapper, preprocessor = cfg.optim_wrapper, cfg.model.data_preprocessor
    warmup, decay = cfg.param_scheduler
    optimizer, groups = wrapper.optimizer, wrapper.paramwise_cfg
    is_share = decay.get("eta_min_ratio") is not None
    lowest = decay.eta_min_ratio * optimizer.lr if is_share else decay.eta_min
    recipe = dict(
        lr=optimizer.lr,
        min_lr=lowest,
        warmup_epochs=warmup.end,
        epochs=cfg.train_cfg.max_epochs,
        weight_decay=optimizer.weight_decay,
        betas=list(optimizer.betas),
        layer_decay=groups.get("layer_decay_rate", 1.0),
        mean=list(preprocessor.mean),
        std=list(preprocessor.std),
    )
    wrapper.type = "OptimWrapper"
    for key in ("dtype", "loss_scale"):
        wrapper.pop(key, None)
    optimizer.update({key: settings[key] for key in ("lr", "weight_decay", "betas")})
    groups.layer_decay_rate = settings["layer_decay"]
    preprocessor.update(mean=settings["mean"], std=settings["std"])
    warmup.end = settings["warmup_epochs"]
    # MMEngine truncates begin times iterations; half an iteration keeps rounding errors away
    decay.begin = settings["warmup_epochs"] + 0.5 / settings["iterations_per_epoch"]
    if settings["warmup_epochs"] >= settings["epochs"]:
        cfg.param_scheduler = [warmup]
    if is_share:
        decay.eta_min_ratio = settings["min_lr"] / settings["lr"]
    else:
        decay.eta_min = settings["min_lr"]
    cfg.train_cfg.max_epochs = settings["epochs"]
    return [
        f"{key}={settings[key]} ({value})"
        for key, value in recipe.items()
        if not _is_close(value, settings[key])
    ]


def _is_close(first: Any, second: Any) -> bool:
    """Return whether numbers, or lists of them, agree to float32 accuracy."""
    pairs = zip(first, second, strict=False) if isinstance(first, list) else [(first, second)]
    return all(abs(a - b) <= 1e-6 * max(abs(a), abs(b)) for a, b in pairs)

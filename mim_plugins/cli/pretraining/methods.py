"""Methods, encoders and teachers of ``mim-plugins pretrain``, by short names."""

import difflib
from collections.abc import Collection
from importlib.util import find_spec
from typing import Any, NamedTuple

from ...errors import ConfigError

_SIZES = dict(t="tiny", s="small", m="medium", b="base", l="large", h="huge")


class Family(NamedTuple):
    """Encoders of one kind."""

    sizes: str
    """First letters of the sizes."""
    patches: tuple[tuple[int, int], ...]
    """Smallest image side and patch side for it, in pixels, from large to small images."""
    cells_per_patch: int
    """Side of a mask cell in patches."""


FAMILIES = {
    "swin": Family("tsblh", ((128, 4), (64, 2), (32, 1)), 8),
    "pvt": Family("tsml", ((128, 4),), 8),
    "vit": Family("tsblh", ((96, 16), (48, 8), (32, 4)), 1),
    "mcmae": Family("sblh", ((64, 4),), 4),
}
METHODS = dict(mixmae=("swin", "pvt"), mrmae=("vit", "mcmae"), mae=("vit", "mcmae"))
TITLES = dict(mixmae="MixMAE", mrmae="MR-MAE", mae="MAE")
DINO = "vit_base_patch16_224.dino"
TEACHERS = dict(clip=None, dino=DINO, dinov2="vit_base_patch14_dinov2.lvd142m")
"""timm's name of each teacher; None is the CLIP model of the recipes."""


def choose_name(argument: str, value: str, names: Collection[str]) -> str:
    """Return the name that equals ``value`` but for case and underscores.

    Raises:
        ConfigError: there is no such name; the message contains the nearest one.
    """
    wanted = str(value).lower().replace("_", "-")
    if wanted in names:
        return wanted
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"{argument} '{value}' is not one of {', '.join(names)}{hint}")


def arch_names(method: str) -> list[str]:
    """Return the names of a method's encoders, such as ``'swin-t'``."""
    return [f"{family}-{size}" for family in METHODS[method] for size in FAMILIES[family].sizes]


def size_name(arch: str) -> str:
    """Return the ``arch`` argument of the encoder's class."""
    return _SIZES[arch.partition("-")[2]]


def family_of(arch: str) -> str:
    """Return the key of :data:`FAMILIES` of an encoder."""
    return arch.partition("-")[0]


def choose_teacher(method: str, teacher: str | None) -> str | None:
    """Return the checked name of a teacher, None for none.

    Raises:
        ConfigError: the method has no teacher, no model has this name, or timm or open_clip is not
            installed.
    """
    if method == "mae":
        if teacher is not None:
            raise ConfigError(f"teacher '{teacher}': MAE has no teacher; use --method mrmae")
        return None
    if teacher is None:
        if method == "mixmae":
            return None
        teacher = "clip"
    package = "open_clip" if teacher == "clip" else "timm"
    if find_spec(package) is None:
        raise ConfigError(
            f"teacher '{teacher}' needs the package {package}: pip install 'mim_plugins[targets]'"
        )
    if teacher in TEACHERS:
        return teacher
    import timm

    known = timm.list_models(pretrained=True)
    if teacher in known or teacher in {name.partition(".")[0] for name in known}:
        return teacher
    near = difflib.get_close_matches(teacher, [*TEACHERS, *known], n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(
        f"teacher '{teacher}' is neither one of {', '.join(TEACHERS)} nor a name of"
        f" timm.list_models(pretrained=True){hint}"
    )


def base_config(method: str, arch: str, teacher: str | None) -> str:
    """Return the recipe that the config of a run inherits from."""
    if family_of(arch) == "mcmae":
        return "mrmae/mcmae_b_400e"
    if method != "mixmae":
        return "mrmae/vit_b_400e"
    if teacher is not None:
        return "mrmae/mixmae_swin_b_400e"
    return "mixmae/pvt_s_300e" if family_of(arch) == "pvt" else "mixmae/swin_b_600e"


def target_generator(teacher: str) -> dict[str, Any] | None:
    """Return the config of a teacher's target generator, None for the CLIP of the recipes."""
    name = TEACHERS.get(teacher, teacher)
    if name is None:
        return None
    return dict(type="mim_plugins.TimmTarget", model_name=name, pretrained=True, normalize=True)

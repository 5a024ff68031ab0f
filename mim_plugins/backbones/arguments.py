"""Checks of the arguments that the backbones have in common."""

from collections.abc import Sequence

from torch.nn.modules.utils import _pair

OUT_TYPES = ("featmap", "avg_featmap")


def resolve_arch(name: str, known: dict[str, dict], arch: str | dict) -> dict:
    """Sizes of ``arch``: a key of ``known`` or its first letter, or a dict with the same entries.

    In a dict, ``depths`` lists the stages' blocks; every other entry lists one number per stage,
    or is a number where the known sizes have one (``embed_dims`` may be either).

    Raises:
        ValueError: an unknown name, other entries, or lists of other lengths.
    """
    template = next(iter(known.values()))
    if isinstance(arch, str):
        matches = [size for size in known if arch.lower() in (size, size[0])]
        if not matches:
            raise ValueError(
                f"{name}: arch={arch!r} is unknown; choose one of {list(known)} or give a dict with"
                f" {sorted(template)}"
            )
        return known[matches[0]]
    if set(arch) != set(template):
        raise ValueError(f"{name}: arch={dict(arch)} must have exactly the keys {sorted(template)}")
    for key, value in arch.items():
        may_be_number = key == "embed_dims" or isinstance(template[key], int)
        if may_be_number and isinstance(value, int) and value > 0:
            continue
        depths = arch.get("depths")
        stages = len(depths) if isinstance(depths, (list, tuple)) else 0
        if not isinstance(value, (list, tuple)) or len(value) != stages:
            raise ValueError(
                f"{name}: arch[{key!r}]={value!r} must list {stages} numbers, one per stage as in"
                " arch['depths']"
            )
    return dict(arch)


def check_img_size(name: str, img_size: int | Sequence[int], stride: int) -> tuple[int, int]:
    """``img_size`` as (H, W).

    Raises:
        ValueError: not one or two sides, or a side that is no multiple of ``stride``.
    """
    sides = tuple(_pair(img_size))
    if len(sides) != 2 or any(side < 1 or side % stride for side in sides):
        raise ValueError(
            f"{name}: img_size={sides} must be one side or (H, W), multiples of the encoder"
            f" stride {stride}"
        )
    return sides[0], sides[1]


def check_out_type(name: str, out_type: str) -> str:
    """``out_type``, if it is known.

    Raises:
        ValueError: it is not.
    """
    if out_type not in OUT_TYPES:
        raise ValueError(f"{name}: out_type={out_type!r} must be one of {OUT_TYPES}")
    return out_type


def check_out_indices(name: str, indices: int | Sequence[int], count: int) -> tuple[int, ...]:
    """``indices`` of ``count`` outputs, counted from 0; negative ones count from the last.

    Raises:
        ValueError: none, one out of range, or one twice.
    """
    given = (indices,) if isinstance(indices, int) else tuple(indices)
    valid = tuple(index % count for index in given if -count <= index < count)
    if not valid or len(valid) != len(given) or len(set(valid)) != len(valid):
        raise ValueError(
            f"{name}: out_indices={given} must be distinct and between {-count} and {count - 1}"
        )
    return valid

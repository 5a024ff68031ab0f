"""Checks of the arguments that all encoders have in common."""

import numbers
from collections.abc import Iterable, Sequence
from typing import Any

from torch.nn.modules.utils import _pair

from ..errors import ConfigError
from ..number_checks import is_above_0, is_int, is_positive_int

OUT_TYPES = ("featmap", "avg_featmap")
_RATIOS = "mlp_ratios"  # the only entry of sizes that may contain fractions


def resolve_arch(
    name: str,
    known: dict[str, dict],
    arch: str | dict,
    may_double: tuple[str, ...] = (),
    fixed_stages: bool = False,
) -> dict:
    """Return the sizes of an architecture.

    Args:
        name: class name of the encoder, for messages.
        known: sizes by name. An entry is an integer, or a list with one number per stage.
        arch: key of ``known`` or its first letter, or a dict with the same entries.
        may_double: entries that may be a list or an integer, which doubles from stage to stage.
        fixed_stages: require as many stages as ``known`` has; otherwise ``depths`` determines the
            number of stages.

    Raises:
        ValueError: ``arch`` is an unknown name, or a dict with unexpected entries or with lists of
            the wrong length.
    """
    template = next(iter(known.values()))
    if isinstance(arch, str):
        matches = [size for size in known if arch.lower() in (size, size[0])]
        if not matches:
            raise ValueError(
                f"{name}: arch={arch!r} is unknown; choose one of {list(known)} or set a dict with"
                f" the keys {sorted(template)}"
            )
        return known[matches[0]]
    if set(arch) != set(template):
        raise ValueError(f"{name}: arch={dict(arch)} must have exactly the keys {sorted(template)}")
    depths = arch.get("depths")
    stages = len(template.get("depths", ())) if fixed_stages else _length(depths)
    for key, value in arch.items():
        if (isinstance(template[key], int) or key in may_double) and is_positive_int(value):
            continue
        if isinstance(template[key], int) and key not in may_double:
            raise ValueError(f"{name}: arch[{key!r}]={value!r} must be a positive integer")
        if (
            not isinstance(value, (list, tuple))
            or len(value) != max(stages, 1)
            or not all((is_above_0 if key == _RATIOS else is_positive_int)(v) for v in value)
        ):
            kind = "numbers" if key == _RATIOS else "integers"
            raise ValueError(
                f"{name}: arch[{key!r}]={value!r} must list {stages} {kind} above 0, one per"
                " stage as in arch['depths']"
            )
    return dict(arch)


def _length(value: object) -> int:
    return len(value) if isinstance(value, (list, tuple)) else 0


def check_heads(name: str, widths: Sequence[int], num_heads: int | Sequence[int]) -> None:
    """Check that the attention heads divide the width of each stage.

    A single number of heads applies to the last stage.

    Raises:
        ValueError: a width is not a multiple of its number of heads.
    """
    heads = (num_heads,) if isinstance(num_heads, int) else tuple(num_heads)
    widths = tuple(widths[-len(heads) :])
    if any(dim % num for dim, num in zip(widths, heads, strict=True)):
        raise ValueError(
            f"{name}: the widths {widths} must be multiples of the numbers of heads,"
            f" num_heads={heads}"
        )


def check_img_size(name: str, img_size: int | Sequence[int]) -> tuple[int, int]:
    """Return ``img_size`` as (H, W).

    Raises:
        ValueError: there are not one or two positive integers.
    """
    sides = tuple(_pair(img_size))
    if len(sides) != 2 or any(not is_int(side) or side < 1 for side in sides):
        raise ValueError(f"{name}: img_size={sides} must be one side or (H, W), in whole pixels")
    return int(sides[0]), int(sides[1])


def check_side(name: str, argument: str, side: int) -> int:
    """Return the side of a patch.

    Raises:
        ConfigError: it is not a positive integer.
    """
    if not is_int(side) or side < 1:
        raise ConfigError(
            f"{name}: {argument}={side!r} must be a positive integer, the side of square patches"
        )
    return int(side)


def check_in_channels(name: str, in_channels: int) -> int:
    """Return ``in_channels``.

    Raises:
        ValueError: it is not a positive integer.
    """
    if not is_positive_int(in_channels):
        raise ValueError(
            f"{name}: in_channels={in_channels!r} must be a positive integer: 3 for RGB images,"
            " 1 for grayscale images"
        )
    return in_channels


def check_out_type(name: str, out_type: str) -> str:
    """Return ``out_type``.

    Raises:
        ValueError: it is unknown.
    """
    if out_type not in OUT_TYPES:
        raise ValueError(f"{name}: out_type={out_type!r} must be one of {OUT_TYPES}")
    return out_type


def check_rate(name: str, argument: str, rate: float) -> None:
    """Check a rate of dropout or stochastic depth.

    Raises:
        ConfigError: it is not a number from 0 to 1.
    """
    is_number = isinstance(rate, numbers.Real) and not isinstance(rate, bool)
    if not is_number or not 0 <= rate <= 1:
        raise ConfigError(f"{name}: {argument}={rate!r} must be a number from 0 to 1")


def check_windows(
    name: str, window_size: int | None, global_blocks: int | Sequence[int], depth: int
) -> tuple[int, ...]:
    """Return the indices of the global blocks among ``depth`` blocks, sorted, counted from 0.

    Negative indices in ``global_blocks`` count from the last block.

    Raises:
        ValueError: ``window_size`` is neither None nor a positive integer, an index is out of range
            or duplicate, or ``global_blocks`` is set without ``window_size``.
    """
    if window_size is not None and not is_positive_int(window_size):
        raise ValueError(
            f"{name}: window_size={window_size!r} must be a positive integer, or None for"
            " attention over the whole image"
        )
    blocks = check_global_blocks(name, global_blocks, depth)
    if blocks and window_size is None:
        raise ValueError(
            f"{name}: global_blocks={blocks} requires window_size; without windows, every block"
            " is global"
        )
    return blocks


def check_global_blocks(
    name: str, global_blocks: int | Sequence[int], depth: int
) -> tuple[int, ...]:
    """Return the indices of the global blocks among ``depth`` blocks; see :func:`check_windows`."""
    given: tuple[Any, ...] = (global_blocks,)
    if isinstance(global_blocks, Sequence) and not isinstance(global_blocks, str):
        given = tuple(global_blocks)
    if not all(isinstance(block, int) and not isinstance(block, bool) for block in given):
        raise ValueError(
            f"{name}: global_blocks={global_blocks!r} must be an index of a block, a list of"
            " indices, or () for none"
        )
    valid = {block % depth for block in given if -depth <= block < depth}
    if len(valid) != len(given):
        raise ValueError(
            f"{name}: global_blocks={given} must be distinct and between {-depth} and {depth - 1}"
        )
    return tuple(sorted(valid))


def check_frozen_stages(name: str, frozen_stages: int, last: int) -> int:
    """Return ``frozen_stages``.

    Raises:
        ValueError: it is not an integer between -1 and ``last``.
    """
    if not is_int(frozen_stages) or not -1 <= frozen_stages <= last:
        raise ValueError(
            f"{name}: frozen_stages={frozen_stages} must be an integer between -1 and {last}"
        )
    return frozen_stages


def check_out_indices(name: str, indices: int | Iterable[int], count: int) -> tuple[int, ...]:
    """Return ``indices`` of ``count`` outputs, counted from 0; negative ones count from the last.

    Raises:
        ValueError: ``indices`` is empty or not of integers, or an index is out of range or
            duplicate.
    """
    is_listed = isinstance(indices, Iterable) and not isinstance(indices, str)
    given: tuple[Any, ...] = tuple(indices) if is_listed else (indices,)  # type: ignore[arg-type]
    valid = tuple(int(i) % count for i in given if is_int(i) and -count <= i < count)
    if not valid or len(valid) != len(given) or len(set(valid)) != len(valid):
        raise ValueError(
            f"{name}: out_indices={given} must be distinct integers between {-count} and"
            f" {count - 1}"
        )
    return valid


def check_pooled_output(name: str, out_type: str, indices: tuple[int, ...], last: int) -> None:
    """Check that a plain encoder that pools its tokens returns only those of the ``last`` output.

    Raises:
        ConfigError: it returns others.
    """
    if out_type == "avg_featmap" and indices != (last,):
        raise ConfigError(
            f"{name}: out_indices={indices} must be {last}, the last output, because"
            " out_type='avg_featmap' pools only that; leave it out, or use out_type='featmap'"
        )

"""Weights of image channels, adapted to another number of channels."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import CheckpointError

Inflation = bool | Sequence[int | None]
"""True for the mean over the channels of a file, or the file's channel for each channel."""

_OUTPUTS = ("decoder.pred.weight", "decoder.pred.bias")
"""Layer of a decoder whose outputs are the channels of the pixels of a patch, channels last."""


def inflatable(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    """Return the convolution whose number of input channels alone differs, None if not exactly one.

    Args:
        own: tensors of a model, whose first convolution reads the images.
        given: tensors of a file under the model's names.
    """
    differing = [
        name
        for name, tensor in given.items()
        if name in own
        and tensor.ndim == own[name].ndim == 4
        and tensor.shape[1] != own[name].shape[1]
        and (tensor.shape[0], *tensor.shape[2:]) == (own[name].shape[0], *own[name].shape[2:])
    ]
    return differing[0] if len(differing) == 1 else None


def inflate_weights(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], inflate: Inflation
) -> dict[str, Tensor]:
    """Return the tensors of a file that change for the number of image channels of a model.

    These are the first convolution, see :func:`inflate_channels`, and the last layer of a decoder.
    Each channel is predicted like the channel assigned to it, or like the mean.

    Args:
        own: see :func:`inflatable`.
        given: see ``own``.
        inflate: see :func:`inflate_channels`.

    Raises:
        CheckpointError: see :func:`inflate_channels`.
    """
    name = inflatable(own, given)
    if name is None:
        return {}
    known, channels = given[name].shape[1], own[name].shape[1]
    changed = {name: inflate_channels(given[name], channels, inflate)}
    for output in _OUTPUTS:
        if output in given:
            rows = given[output].unflatten(0, (-1, known)).transpose(0, 1)  # (C, pixels, ...)
            if inflate is True:
                parts = [rows.double().mean(dim=0).to(rows.dtype)] * channels
            else:
                parts = [_source(rows, each) for each in _sources(inflate, known, channels)]
            changed[output] = torch.stack(parts, dim=1).flatten(0, 1)
    return changed


def inflate_channels(weight: Tensor, channels: int, inflate: Inflation = True) -> Tensor:
    """Return the weights of a convolution for another number of input channels.

    If channels are copies of each other, or of the channels assigned to them, the output of the
    convolution is unchanged.

    Args:
        weight: (D, C, h, w) for C channels.
        channels: N, the number of channels of the result (D, N, h, w).
        inflate: True gives each channel the mean over C, scaled by C / N. A list contains for each
            of the N channels the one of the C channels, counted from 0, whose weights it gets,
            divided by the number of channels that share it; None gives weights of 0.

    Raises:
        CheckpointError: the list has another length, or numbers of no channel.
    """
    known = weight.shape[1]
    if inflate is True:
        mean = weight.double().mean(dim=1, keepdim=True) * (known / channels)
        return mean.to(weight.dtype).repeat(1, channels, 1, 1)
    sources = _sources(inflate, known, channels)
    shared = Counter(sources)
    by_channel = weight.transpose(0, 1)
    return torch.stack([_source(by_channel, each) / shared[each] for each in sources], dim=1)


def _source(by_channel: Tensor, channel: int | None) -> Tensor:
    return torch.zeros_like(by_channel[0]) if channel is None else by_channel[channel]


def _sources(inflate: Inflation, known: int, channels: int) -> list[int | None]:
    sources = list(inflate) if isinstance(inflate, (list, tuple)) else []
    valid = all(each is None or (type(each) is int and 0 <= each < known) for each in sources)
    if len(sources) != channels or not valid or set(sources) == {None}:
        raise CheckpointError(
            f"inflate={inflate!r} must be True, or a list of {channels} entries: for each channel"
            f" of the model one of the file's channels 0 to {known - 1}, or None"
        )
    return sources

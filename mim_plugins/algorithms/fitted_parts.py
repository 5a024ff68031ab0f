"""Parts of an algorithm that follow from its backbone, and settings that must agree with it."""

from collections.abc import Mapping
from typing import Any

from ..registry import MODELS

RGB = 3


def build_fitted(owner: str, name: str, part: dict, **facts: Any) -> Any:
    """Build a decoder or head with arguments that follow from the backbone.

    Args:
        owner: class of the algorithm, for messages.
        name: argument of the algorithm that ``part`` is.
        part: config of the decoder or head.
        **facts: arguments that the backbone determines.

    Raises:
        ValueError: ``part`` has another value for one of them.
    """
    for argument, value in facts.items():
        given = part.get(argument, value)
        given = tuple(given) if isinstance(given, (list, tuple)) else given
        if given != value:
            raise ValueError(
                f"{owner}: {name}.{argument}={given!r}, but the backbone gives {value!r}; leave"
                " it out, or change the backbone"
            )
    return MODELS.build(part, default_args=facts)


def build_decoder(owner: str, decoder: dict, backbone: Any, channels: int) -> Any:
    """Build the decoder of ``channels`` encoder channels on the backbone's grid.

    It predicts as many image channels as the backbone reads. Decoders of RGB images need no
    argument ``out_channels``.
    """
    stride, img_size = backbone.encoder_stride, backbone.img_size
    facts = dict(
        in_channels=channels,
        grid=(img_size[0] // stride, img_size[1] // stride),
        patch_size=stride,
    )
    predicted = image_channels(backbone)
    if predicted != RGB or "out_channels" in decoder:
        facts["out_channels"] = predicted
    return build_fitted(owner, "decoder", decoder, **facts)


def image_channels(backbone: Any) -> int:
    """Channels of the images that a backbone reads: its ``in_channels``, or 3 without one."""
    return getattr(backbone, "in_channels", RGB)


def check_preprocessor(
    owner: str, preprocessor: Any, channels: int, mimics: Mapping[str, Any]
) -> None:
    """Check that a data preprocessor hands over images of the backbone's ``channels``.

    Raises:
        ValueError: ``mean`` and ``std`` have another length, colors are reordered in images that
            are not RGB, or teachers, which read RGB, get images of other channels.
    """
    check_statistics(owner, preprocessor, channels)
    if not mimics:
        return
    if channels != RGB:
        raise ValueError(
            f"{owner}: mimics={list(mimics)} with backbone.in_channels={channels}: teachers read"
            " RGB images; set in_channels=3, or leave mimics out"
        )


def check_statistics(owner: str, preprocessor: Any, channels: int) -> None:
    """Check mean, standard deviation and channel order of a preprocessor against ``channels``.

    Raises:
        ValueError: a length is neither 1 nor ``channels``, or colors are reordered in images that
            are not RGB.
    """
    for name in ("mean", "std"):
        values = getattr(preprocessor, name, None)
        if values is not None and values.numel() not in (1, channels):
            raise ValueError(
                f"{owner}: data_preprocessor.{name} has {values.numel()} values, but"
                f" backbone.in_channels={channels}; give {channels}, or one for all channels"
            )
    if channels != RGB and getattr(preprocessor, "_channel_conversion", False):
        raise ValueError(
            f"{owner}: data_preprocessor.bgr_to_rgb=True reorders 3 colors, but"
            f" backbone.in_channels={channels}; set bgr_to_rgb=False"
        )

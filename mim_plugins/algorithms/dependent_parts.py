"""Construction and checks of the parts of an algorithm that depend on its backbone."""

from collections.abc import Mapping
from typing import Any

from ..data_preprocessors import reverses_channels
from ..errors import ConfigError
from ..registry import MODELS

RGB = 3


def build_dependent(owner: str, name: str, part: dict, **determined: Any) -> Any:
    """Build a decoder or head with the arguments that the backbone determines.

    Args:
        owner: class name of the algorithm, for messages.
        name: argument of the algorithm, for messages.
        part: config of the decoder or head.
        **determined: arguments that the backbone determines.

    Raises:
        ValueError: ``part`` contradicts one of them.
    """
    for argument, value in determined.items():
        given = part.get(argument, value)
        given = tuple(given) if isinstance(given, (list, tuple)) else given
        if given != value:
            raise ValueError(
                f"{owner}: {name}.{argument}={given!r} must be {value!r}, as determined by the"
                " backbone; leave it out, or change the backbone"
            )
    return MODELS.build(part, default_args=determined)


def build_decoder(owner: str, decoder: dict, backbone: Any, channels: int) -> Any:
    """Build the decoder for encoder tokens with ``channels`` channels on the backbone's grid.

    The decoder predicts as many image channels as the backbone takes. For RGB images, decoders
    without an argument ``out_channels`` work as well.
    """
    stride, img_size = backbone.encoder_stride, backbone.img_size
    determined = dict(
        in_channels=channels,
        grid=(img_size[0] // stride, img_size[1] // stride),
        patch_size=stride,
    )
    predicted = image_channels(backbone)
    if predicted != RGB or "out_channels" in decoder:
        determined["out_channels"] = predicted
    return build_dependent(owner, "decoder", decoder, **determined)


def image_channels(backbone: Any) -> int:
    """Return the ``in_channels`` of a backbone, or 3 if it has no such attribute."""
    return getattr(backbone, "in_channels", RGB)


def check_img_size(owner: str, backbone: Any) -> None:
    """Check that images of the backbone's ``img_size`` consist of full mask cells.

    Raises:
        ConfigError: a side is not a multiple of the encoder's stride.
    """
    img_size, stride = tuple(backbone.img_size), backbone.encoder_stride
    if any(side % stride for side in img_size):
        raise ConfigError(
            f"{owner}: backbone.img_size={img_size} must be multiples of the encoder stride"
            f" {stride} in pre-training"
        )


def check_outputs(owner: str, backbone: Any) -> None:
    """Check that a backbone has no norms of further outputs.

    They would get no gradient in pre-training, so PyTorch's DDP would stop the run.

    Raises:
        ConfigError: it has some.
    """
    if len(getattr(backbone, "out_norms", ())):
        raise ConfigError(
            f"{owner}: backbone.out_indices={backbone.out_indices} must be the last stage only,"
            " because pre-training trains no norms of other stages; leave out_indices out"
        )


def check_unmixed(owner: str, preprocessor: Any) -> None:
    """Check that a data preprocessor does not mix images.

    Raises:
        ConfigError: it does.
    """
    transform = getattr(preprocessor, "batch_transform", None)
    if hasattr(transform, "bind"):
        raise ConfigError(
            f"{owner}: data_preprocessor.batch_transform={type(transform).__name__} mixes images,"
            " which only MixMAE reconstructs; set batch_transform=None"
        )


def check_preprocessor(
    owner: str, preprocessor: Any, channels: int, mimics: Mapping[str, Any]
) -> None:
    """Check that a data preprocessor matches the backbone's image ``channels`` and the teachers.

    Raises:
        ValueError: ``mean`` or ``std`` has the wrong length, or images that are not RGB are
            combined with reordered colors or with teachers.
    """
    check_statistics(owner, preprocessor, channels)
    if not mimics:
        return
    if channels != RGB:
        raise ValueError(
            f"{owner}: mimics={list(mimics)} with backbone.in_channels={channels}: teachers require"
            " RGB images; set in_channels=3, or leave mimics out"
        )


def check_statistics(owner: str, preprocessor: Any, channels: int) -> None:
    """Check ``mean``, ``std`` and color order of a preprocessor for images of ``channels``.

    Raises:
        ValueError: ``mean`` or ``std`` has neither 1 nor ``channels`` values, or colors are
            reordered although the images are not RGB.
    """
    for name in ("mean", "std"):
        values = getattr(preprocessor, name, None)
        if values is not None and values.numel() not in (1, channels):
            raise ValueError(
                f"{owner}: data_preprocessor.{name} has {values.numel()} values, but"
                f" backbone.in_channels={channels}; set {channels} values, or one for all channels"
            )
    if channels != RGB and reverses_channels(preprocessor):
        raise ValueError(
            f"{owner}: data_preprocessor.bgr_to_rgb=True reorders 3 colors, but"
            f" backbone.in_channels={channels}; set bgr_to_rgb=False"
        )

"""Description of an encoder in its file: how to build it and how to prepare images.

The description is JSON under :data:`KEY` in the metadata of a safetensors file. Files come from
anywhere, so every entry is checked, and nothing in it is executed.
"""

import json
import operator
from typing import Any, NamedTuple

from ..errors import CheckpointError, ConfigError
from ..file_names import printable
from ..transforms import Bands
from .schema import (
    LARGEST_NUMBER,
    WrongEntryError,
    check_entries,
    digest,
    height_and_width,
    integer,
    is_integer,
    is_json,
    numbers,
    one_of,
    quote,
    read_json,
    require,
    text_line,
    texts_by_name,
)

_LONGEST_CAUSE = 200
KEY = "mim_plugins"
VERSION = 1
"""Version of the format; a reader refuses later ones."""
BACKBONES = ("MaskedConvViT", "MaskedPVT", "MaskedSwin", "MaskedViT")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "area", "lanczos", "box", "hamming")
CHANNEL_ORDERS = ("rgb", "bgr", "any")

_MOST_BLOCKS = 2**10
_MOST_STAGES = 8


class Preprocessing(NamedTuple):
    """Preparation of images: resize, crop the center, normalize."""

    size: tuple[int, int]
    """(H, W) of the crop in pixels."""
    resize: tuple[int, int]
    """(H, W) that the smallest resized image covers; equal ones are those of the short edge."""
    interpolation: str
    """One of :data:`INTERPOLATIONS`."""
    backend: str
    """Library that resizes: ``'pillow'`` (antialiased) or ``'cv2'``."""
    channels: int
    channel_order: str
    """One of :data:`CHANNEL_ORDERS`; ``'any'`` unless there are three channels."""
    mean: tuple[float, ...]
    """Per channel, or one for all, of pixels in :attr:`units`."""
    std: tuple[float, ...]
    """In the same form as ``mean``."""
    bands: dict[str, Any] | None = None
    """Arguments of :class:`Bands` with which files are read; None for 8-bit colors or gray."""

    @property
    def resizing(self) -> str:
        """Text about the resizing, to be added to a sentence."""
        height, width = self.resize
        if height == width:
            return f"the short edge to {height} pixels"
        return f"until the image covers {height} x {width} pixels (height x width)"

    @property
    def units(self) -> str:
        """Range of the pixels, as an addition to a sentence."""
        return "from 0 to 255" if self.bands is None else "in the numbers of the files"


class Description(NamedTuple):
    """Description of an encoder."""

    backbone: dict[str, Any]
    """``type``, one of :data:`BACKBONES`, and arguments of its constructor."""
    preprocessing: Preprocessing
    algorithm: str = ""
    """Class of the model that was trained, such as ``MixMAE``; empty if unknown."""
    source: str = ""
    """Name of the checkpoint from which the encoder was exported."""
    source_sha256: str = ""
    """Digest of the checkpoint, empty if unknown."""
    versions: dict[str, str] = {}
    """Versions of the packages that wrote the file, by name."""

    def to_json(self) -> str:
        """Return the description as JSON.

        Raises:
            CheckpointError: an entry is not allowed; see :func:`parse_description`.
        """
        content = dict(self._asdict(), version=VERSION, preprocessing=self.preprocessing._asdict())
        try:
            text = json.dumps(content, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"the description is not plain data: {error}") from error
        parse_description(text, "the description")
        return text


def parse_description(text: str, source: object) -> Description:
    """Read a description that may come from anywhere.

    Args:
        text: JSON.
        source: name of the file, for messages.

    Raises:
        CheckpointError: it is not JSON, is of a later version, or contains an unknown entry or a
            value that is not allowed.
    """
    try:
        return _parse(text)
    except WrongEntryError as error:
        raise CheckpointError(
            f"the metadata of '{source}' cannot be used: {error}; export the encoder again, or load"
            " its weights with init_cfg"
        ) from None


def _parse(text: str) -> Description:
    content = read_json(text)
    require(type(content) is dict, f"it is {type(content).__name__}, not an object")
    version = content.pop("version", None)
    require(is_integer(version, 1, 2**31), f"version={quote(version)} is not a positive integer")
    require(
        version <= VERSION,
        f"it has version {version}, and this mim_plugins reads up to {VERSION}: upgrade it",
    )
    entries = check_entries(content, _ENTRIES)
    values = check_entries(entries["preprocessing"], _PREPROCESSING, "preprocessing")
    numbers = {name: tuple(map(float, values[name])) for name in ("mean", "std")}
    sizes = {name: tuple(values[name]) for name in ("size", "resize")}
    preprocessing = Preprocessing(**values | numbers | sizes)
    _check_agreement(preprocessing)
    return Description(**entries | dict(preprocessing=preprocessing))


def check_backbone(backbone: Any) -> str:
    """Return why a backbone's ``type`` and arguments are not allowed, or ``""``."""
    if type(backbone) is not dict:
        return f"it is {type(backbone).__name__}, not an object"
    if backbone.get("type") not in BACKBONES:
        return f"type={quote(backbone.get('type'))} is not one of {', '.join(BACKBONES)}"
    if "init_cfg" in backbone:
        return "init_cfg is not allowed, because it names other files"
    for name, value in backbone.items():
        if not is_json(value, LARGEST_NUMBER):
            return f"{quote(name)}={quote(value)} is too large, too deep or not finite"
    arch = backbone.get("arch")
    sizes = arch if type(arch) is dict else {}
    depths = sizes.get("depths", [sizes.get("depth", 1)])
    numbers = depths if type(depths) is list else [depths]
    if len(numbers) > _MOST_STAGES or not all(is_integer(n, 1, _MOST_BLOCKS) for n in numbers):
        return f"arch={quote(arch)} must have at most {_MOST_STAGES} stages of blocks"
    return "" if sum(numbers) <= _MOST_BLOCKS else f"{sum(numbers)} blocks exceed {_MOST_BLOCKS}"


def check_bands(bands: Any) -> str:
    """Return why the arguments of :class:`Bands` are not allowed, or ``""``."""
    if bands is None:
        return ""
    if type(bands) is not dict or not set(bands) <= {"channels", "fill", "nodata", "axes"}:
        return f"{quote(bands)} is neither null nor has only channels, fill, nodata and axes"
    if not is_json(bands):
        return f"{quote(bands)} is too long, too deep or not finite"
    try:
        Bands(**bands)
    except (ConfigError, TypeError) as error:  # TypeError: channels are missing
        return f"{quote(bands)}: {printable(str(error)[:_LONGEST_CAUSE])}"
    return ""


def _check_agreement(given: Preprocessing) -> None:
    require(
        given.bands is None or given.bands.get("channels") == given.channels,
        f"preprocessing.bands {quote(given.bands)} does not fit {given.channels} channels",
    )
    for name in ("mean", "std"):
        count = len(getattr(given, name))
        require(
            count in (1, given.channels),
            f"preprocessing.{name} has {count} values for {given.channels} channels",
        )
    require(min(given.std) > 0, "preprocessing.std must be above 0")
    require(
        all(map(operator.le, given.size, given.resize)),
        f"preprocessing.size {list(given.size)} exceeds resize {list(given.resize)}",
    )
    require(
        (given.channels == 3) == (given.channel_order != "any"),
        f"preprocessing.channel_order {given.channel_order!r} does not fit {given.channels}"
        " channels",
    )


_ENTRIES = dict(
    backbone=check_backbone,
    preprocessing=lambda value: "",  # checked by itself
    algorithm=text_line,
    source=text_line,
    source_sha256=digest,
    versions=texts_by_name,
)
_PREPROCESSING = dict(
    size=height_and_width,
    resize=height_and_width,
    interpolation=one_of(*INTERPOLATIONS),
    backend=one_of("pillow", "cv2"),
    channels=integer(1),
    channel_order=one_of(*CHANNEL_ORDERS),
    mean=numbers,
    std=numbers,
    bands=check_bands,
)

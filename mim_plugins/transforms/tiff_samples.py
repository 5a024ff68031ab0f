"""Bands of TIFF files that readers of colors would leave out."""

import io
import logging
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

# Pillow raises an error as well, which becomes the message on the image
logging.getLogger("PIL.TiffImagePlugin").setLevel(logging.CRITICAL)

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SAMPLES, _PHOTOMETRIC, _EXTRA = 277, 262, 338
_COLORS = {2: 3, 5: 4, 6: 3, 8: 3}  # of RGB, CMYK, YCbCr and CIELAB; others have one
_ALPHA = (1, 2)  # multiplied by the colors or not


def read_tags(data: bytes) -> Mapping[int, Any]:
    """Return the tags of the first image of a TIFF file, empty for other and corrupt files."""
    if not data.startswith(TIFF):
        return {}
    is_big = 43 in data[2:4]
    with warnings.catch_warnings(), suppress(Exception):
        # corrupt tags raise struct.error, SyntaxError, TypeError, ...
        warnings.simplefilter("ignore")
        tags = ImageFileDirectory_v2(data[: 16 if is_big else 8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        return {key: tags.get(key) for key in (_SAMPLES, _PHOTOMETRIC, _EXTRA)}
    return {}


def describe_left_out(tags: Mapping[int, Any]) -> str | None:
    """Return which bands a reader of colors would leave out, None if only a declared alpha.

    Args:
        tags: values of TIFF tags, as of :func:`read_tags` and of Pillow's images.
    """
    samples = tags.get(_SAMPLES) or 1
    colors = _COLORS.get(tags.get(_PHOTOMETRIC) or 0, 1)
    if not isinstance(samples, int) or samples <= colors:
        return None
    extra = tags.get(_EXTRA)
    given = extra if isinstance(extra, tuple) else (extra,)
    if samples == colors + 1 and given[0] in _ALPHA:
        return None
    return (
        f"a TIFF file of {samples} bands, of which only {colors} would be read as"
        f" {'gray' if colors == 1 else 'colors'}; read all with channels={samples}, that is"
        f" bands=dict(channels={samples}) of the loading transform"
    )

"""Mean and standard deviation of channels, as a table and as lines of a config."""

import argparse
import os
import statistics
import sys

from rich.console import Console
from rich.progress import track

from ..datasets.channel_statistics import ChannelStatistics, channel_statistics
from ..datasets.image_files import suffixes_read
from ..datasets.image_places import images_at
from ..sampling import evenly_spaced
from ..transforms import Bands
from ..wording import counted
from .reported_errors import user_errors


def print_channel_report(args: argparse.Namespace) -> None:
    """Measure as ``mim-plugins statistics`` does; errors of users end the program."""
    with user_errors():
        bands = None if args.channels is None else dict(channels=args.channels, nodata=args.nodata)
        suffixes = suffixes_read(None if bands is None else Bands(**bands))
        paths: list[str] = []
        for place in args.data:
            paths += images_at(os.path.expanduser(place), suffixes)
        chosen = [paths[n] for n in evenly_spaced(len(paths), args.max_images or len(paths))]
        measured = channel_statistics(
            track(chosen, "decoding", console=Console(stderr=True)), bands
        )
    print("\n".join(report(measured)))
    if measured.corrupt:
        found_errors = "; ".join(measured.corrupt)
        sys.exit(f"error: {counted(len(measured.corrupt), 'image')} cannot be read: {found_errors}")


def report(measured: ChannelStatistics) -> list[str]:
    """Return the lines of the report."""
    short_side = statistics.median(map(min, measured.shapes))
    lines = [
        f"{counted(measured.images, 'image')}, short side {short_side:g} px (median),"
        f" {measured.missing:.2%} of the values missing",
        f"{'channel':>7}{'mean':>13}{'std':>13}{'low':>13}{'high':>13}",
    ]
    rows = zip(measured.mean, measured.std, measured.low, measured.high, strict=True)
    for channel, row in enumerate(rows):
        lines.append(f"{channel:>7}" + "".join(f"{value:>13.6g}" for value in row))
    lines += ["", f"pixel_mean = {short(measured.mean)}", f"pixel_std = {short(measured.std)}"]
    return lines


def short(values: list[float]) -> list[float]:
    """Return values of seven digits, the precision of float32."""
    return [float(f"{value:.7g}") for value in values]

"""Pack the images of a folder, list or archive into one file, optionally smaller.

SOURCE is one split: a folder of any depth, a list of images with or without labels, an archive or a
folder of archives. OUT ends in .tar, .parquet or .lmdb. Files are copied unchanged, corrupt ones
too; with --short-side, larger images are turned upright, resized and written as JPEG. Labels are
kept: tar and LMDB keep CLASS/IMAGE or have a .cls file per image, Parquet has a column 'label'. OUT
appears when it is complete; an interrupted run starts again. Exit code 0: all images were packed.
1: some were left out because they cannot be read or named, or an error occurred. 130: Ctrl-C.
143: SIGTERM.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
from error_lines import describe
from image_processes import map_images
from rich.console import Console
from rich.progress import track

from mim_plugins.archives import is_url, read_image_file, split_address, try_archives
from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.cores import MOST_PROCESSES, reading_processes
from mim_plugins.cli.ctrl_c import is_closed_output
from mim_plugins.cli.signals import exit_at_sigterm
from mim_plugins.errors import CorruptImageError, UserError
from mim_plugins.file_names import printable

if TYPE_CHECKING:
    from pack_names import PackedImage

_LONGEST_JPEG = 65_500  # pixels of a side, libjpeg's limit


class Content(NamedTuple):
    """File of one image as it is packed, or the reason why it is left out."""

    data: bytes = b""
    is_jpeg: bool = False
    """Whether the image was written as JPEG."""
    error: str = ""


def parse_args(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="prepare_dataset.py pack",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", help="folder, list (.txt) or archive of images")
    parser.add_argument("out", type=Path, help="file to write: .tar, .parquet or .lmdb")
    parser.add_argument("--format", help="tar, parquet or lmdb (default: by the suffix of OUT)")
    parser.add_argument(
        "--short-side", type=int, metavar="PIXELS", help="shrink images whose short side is longer"
    )
    parser.add_argument(
        "--quality", type=int, default=95, help="JPEG quality of shrunk images (default: 95)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=reading_processes(),
        help=f"processes that shrink images (default: a core each, at most {MOST_PROCESSES})",
    )
    args = parser.parse_args(command_words(arguments))
    from pack_writers import WRITERS  # imports PyTorch, like the imports below

    suffix = args.out.suffix.lower().lstrip(".")
    if suffix not in WRITERS or args.format not in (None, suffix):
        wanted = args.format if args.format in WRITERS else ", .".join(WRITERS)
        parser.error(f"OUT '{printable(args.out)}' must end in .{wanted}")
    if args.short_side is not None and args.short_side < 1:
        parser.error(f"--short-side {args.short_side} must be at least 1")
    if not 1 <= args.quality <= 100:
        parser.error(f"--quality {args.quality} must be from 1 to 100")
    if args.workers < 1:
        parser.error(f"--workers {args.workers} must be at least 1")
    if os.path.lexists(args.out):
        parser.error(f"OUT '{printable(args.out)}' exists: remove it, or give another name")
    return args


def copy(address: str) -> Content:
    """Read a file."""
    try:
        return Content(_read(address))
    except (OSError, ValueError) as error:
        return Content(error=f"'{printable(address)}': unreadable ({error})")


def _read(address: str) -> bytes:
    if not is_url(address):
        return read_image_file(address)
    from mim_plugins.transforms import LoadImage

    return LoadImage().read(address)


def convert_unbroken(
    address: str, convert: Callable[[str], Content], broken: Mapping[str, UserError]
) -> Content:
    """Convert an image, unless it is in an archive that cannot be opened, one of ``broken``."""
    parts = split_address(address)
    if parts is None or parts[0] not in broken:
        return convert(address)
    return Content(error=f"'{printable(address)}': unreadable ({broken[parts[0]]})")


def shrink(address: str, short_side: int, quality: int) -> Content:
    """Read a file; return it, or an upright JPEG file if the image is larger and fits one."""
    from mim_plugins.transforms import LoadImage
    from mim_plugins.transforms.load_random_resized_crop import resize_exact

    content = copy(address)
    if content.error:
        return content
    try:
        image = LoadImage()(dict(img_path=address))["img"]
    except CorruptImageError as error:
        return Content(error=str(error))
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return content
    size = max(round(height * scale), short_side), max(round(width * scale), short_side)
    if max(size) > _LONGEST_JPEG:
        return content
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return Content(cv2.imencode(".jpg", resize_exact(image, size), options)[1].tobytes(), True)


def contents(
    images: "Sequence[PackedImage]", convert: Callable[[str], Content], workers: int
) -> Iterator[Content]:
    """Yield the contents in order; few are in memory at a time."""
    given = [image.address for image in images]
    archives, broken = try_archives(given)
    if broken:  # and would be opened again for each image
        convert = partial(convert_unbroken, convert=convert, broken=broken)
    if workers == 1:
        yield from map(convert, given)
        return
    yield from map_images(convert, given, workers, archives)


def pack(args: argparse.Namespace) -> list[str]:
    """Write the file, and return a line for every image that was left out."""
    from content_suffix import with_suffix_of
    from pack_check import check_pack
    from pack_names import describe_folders_in_class, why_unnamed
    from pack_source import list_source
    from pack_writers import WRITERS

    from mim_plugins.checkpoints import write_atomically

    images, classes = source = list_source(args.source)
    if warning := describe_folders_in_class(args.source, source):
        print(warning, file=sys.stderr)
    kind = args.format or args.out.suffix.lower().lstrip(".")
    convert: Callable[[str], Content] = copy
    workers = 1
    if args.short_side is not None:
        convert = partial(shrink, short_side=args.short_side, quality=args.quality)
        workers = min(args.workers, len(images))
    left_out: list[str] = []
    written: list[PackedImage] = []
    shrunk = 0
    given = {image.name for image in images}

    def write(path: Path) -> None:
        nonlocal shrunk
        with WRITERS[kind](path, images, classes) as writer:
            pairs = zip(images, contents(images, convert, workers), strict=True)
            console = Console(file=sys.stderr)
            for image, content in track(pairs, "packing", total=len(images), console=console):
                name = with_suffix_of(image.name, content.data)
                if reason := content.error or why_unnamed(image, name, kind, given):
                    left_out.append(reason)
                else:
                    shrunk += content.is_jpeg
                    written.append(image._replace(name=name or image.name))
                    writer.add(written[-1], content.data)
        if not written:
            raise UserError(f"no image can be packed; the first: {left_out[0]}")
        print(f"checking {printable(args.out)}", file=sys.stderr)
        check_pack(path, kind, written, classes)

    try:
        with exit_at_sigterm():  # the default action would leave the temporary file
            write_atomically(args.out, write, replace=False)
    except FileExistsError:
        raise UserError(
            f"OUT '{printable(args.out)}' was written by another program meanwhile: remove it, or"
            " give another name"
        ) from None
    size = args.out.stat().st_size / 1e6
    labels = f"{len(classes)} classes" if classes else "no labels"
    print(
        f"{len(written)} images, {labels}, {shrunk} of them shrunk:"
        f" {printable(args.out)}, {size:.1f} MB"
    )
    return left_out


def main(arguments: Sequence[str]) -> None:
    args = parse_args(arguments)
    try:
        left_out = pack(args)
    except (UserError, OSError, ValueError) as error:
        if is_closed_output(error):
            raise
        sys.exit(f"error: {' '.join(str(error).split())}")
    except Exception as error:
        sys.exit(f"error: {describe(error)}")
    except KeyboardInterrupt:
        is_written = os.path.lexists(args.out)  # Ctrl-C came after the file was complete
        done = f"OUT '{printable(args.out)}' was written; left-out images are not listed"
        raise KeyboardInterrupt(done if is_written else "no pack was written") from None
    if left_out:
        sys.exit(f"error: {len(left_out)} images were left out: {'; '.join(left_out)}")

"""Decode all images of a folder or archive as in training, and report kinds and corrupt ones.

Exit code 0: all images are good. 1: some images are corrupt, or the folder has none. 130: Ctrl-C.
143: SIGTERM.
"""

import argparse
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple, NoReturn

from rich.console import Console
from rich.progress import track

from mim_plugins.archives import split_address, try_archives
from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.cores import MOST_PROCESSES, reading_processes
from mim_plugins.cli.ctrl_c import INTERRUPTED_EXIT_CODE, one_line_on_ctrl_c
from mim_plugins.cli.signals import exit_at_sigterm, without_interruptions
from mim_plugins.errors import ConfigError, CorruptImageError, DataNotFoundError, UserError
from mim_plugins.file_names import printable

sys.path.insert(0, str(Path(__file__).parents[1] / "dataset_converters"))
from checked_lists import check_inputs, prepare_lists, write_lists
from error_lines import describe
from image_processes import map_images

SUFFIXES = {"BMP": (".bmp",), "GIF": (".gif",), "JPEG": (".jpg", ".jpeg"), "PNG": (".png",),
            "PPM": (".pgm", ".ppm"), "TIFF": (".tif", ".tiff"), "WEBP": (".webp",)}  # fmt: skip


class Finding(NamedTuple):
    """Result for one file: the corruption, or format, mode, width and height."""

    path: str
    kind: str = ""
    message: str = ""
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", help="folder of images, archive, or folder of archives")
    parser.add_argument(
        "--list", type=Path, help="check only the images listed in this file, relative to ROOT"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=reading_processes(),
        help=f"decoding processes (default: a core each, at most {MOST_PROCESSES})",
    )
    parser.add_argument(
        "--channels", type=int, help="number of bands of images that are not 8-bit RGB"
    )
    parser.add_argument(
        "--out", type=Path, help="list the corrupt files and their corruption in this file"
    )
    parser.add_argument(
        "--write-list",
        type=Path,
        help="list the good files, relative to ROOT, in this ann_file of UnlabeledImageFolder",
    )
    args = parser.parse_args(command_words())
    if args.workers < 1:
        parser.error(f"--workers {args.workers} must be at least 1")
    try:
        prepare_lists(args)
    except ConfigError as error:
        parser.error(str(error))
    return args


def list_images(args: argparse.Namespace) -> tuple[list[str], str]:
    """Return the paths to check, and a description of the files that are left out."""
    from mim_plugins.datasets.archive_places import is_archive_place, refuse_stray_images
    from mim_plugins.datasets.image_files import ARCHIVES, scan_images, suffixes_read
    from mim_plugins.datasets.image_lists import read_image_list
    from mim_plugins.datasets.image_places import images_at
    from mim_plugins.transforms import Bands

    if args.list:
        return read_image_list(args.list, args.root), ""
    suffixes = suffixes_read(None if args.channels is None else Bands(args.channels))
    if os.path.isdir(args.root) and not is_archive_place(args.root):
        scan = scan_images(args.root, suffixes)
        refuse_stray_images(args.root, scan)
        if scan.paths or ARCHIVES not in scan.left_out:
            return scan.paths, scan.describe_left_out()
    return images_at(args.root, suffixes), ""


def check(
    path: str, channels: int | None = None, broken: Mapping[str, UserError] | None = None
) -> Finding:
    """Decode one file, unless it is in an archive that cannot be opened, one of ``broken``."""
    from mim_plugins.transforms import LoadImage
    from mim_plugins.transforms.pillow_header import open_header

    address = split_address(path) if broken else None
    if broken and address and address[0] in broken:
        error = broken[address[0]]
        kind = "missing" if isinstance(error, DataNotFoundError) else "unreadable"
        return Finding(path, kind, f"corrupt image '{printable(path)}': {kind} ({error})")
    load = LoadImage(bands=None if channels is None else dict(channels=channels, fill=0))
    try:
        image = load(dict(img_path=path))["img"]
    except CorruptImageError as corruption:
        return Finding(path, corruption.kind, str(corruption))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open_header(load.read(path)) as header:
                kind, mode = header.format or "unknown", header.mode
        except Exception:  # OpenCV decodes it, so it is good even if pillow rejects the header
            kind, mode = "unknown", "unknown"
    return Finding(path, format=kind, mode=mode, width=image.shape[1], height=image.shape[0])


def check_all(paths: list[str], workers: int, channels: int | None = None) -> Iterator[Finding]:
    """Decode all files in ``workers`` processes, in order.

    Raises:
        UserError: a process was killed, a package is missing, or another error that is not of one
            file.
        Exception: memory is full, or another unexpected error.
    """
    archives, broken = try_archives(paths)
    check_one = partial(check, channels=channels, broken=broken)
    console = Console(file=sys.stderr)
    if workers == 1:
        yield from track(map(check_one, paths), "decoding", total=len(paths), console=console)
        return
    chunk = min(64, len(paths) // workers + 1)
    findings = map_images(check_one, paths, workers, archives, chunk)
    yield from track(findings, "decoding", total=len(paths), console=console)


def report(findings: Sequence[Finding]) -> list[str]:
    """Return the lines of the report."""
    good = [finding for finding in findings if not finding.kind]
    bad = [finding for finding in findings if finding.kind]
    lines = [f"{len(findings)} images: {len(good)} good, {len(bad)} corrupt"]
    for (kind, mode), count in Counter((f.format, f.mode) for f in good).most_common():
        lines.append(f"  {count} {kind}, mode {mode}")
    if good:
        for side in ("width", "height"):
            sizes = [getattr(finding, side) for finding in good]
            lines.append(
                f"  {side}: {min(sizes)} to {max(sizes)} pixels, median {round(median(sizes))}"
            )
    renamed = [f for f in good if not f.path.lower().endswith(SUFFIXES.get(f.format, ("",)))]
    if renamed:
        lines.append(f"  {len(renamed)} with the suffix of another format, which is harmless")
    for kind, count in Counter(finding.kind for finding in bad).most_common():
        lines.append(f"{count} {kind}:")
        lines += [f"  {finding.message}" for finding in bad if finding.kind == kind]
    return lines


def print_lines(lines: Sequence[str]) -> list[str]:
    """Print lines, unless the reader ended, such as head; return the error of a full disk."""
    try:
        print("\n".join(lines), flush=True)
    except OSError as error:
        # Python would write the rest again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            return [f"the report is not complete ({error.strerror}): check disk space"]
    return []


def end(errors: Sequence[str], code: int) -> NoReturn:
    """End the program with one line."""
    print(f"error: {'; '.join(errors)}", file=sys.stderr)
    sys.exit(code)


def finish(
    args: argparse.Namespace,
    paths: Sequence[str],
    findings: Sequence[Finding],
    errors: list[str],
    code: int,
) -> None:
    """Write the lists, print the report and exit, with ``code`` after ``errors``."""
    if errors and not findings:
        end(errors, code)
    if errors:
        errors.append(f"only the first {len(findings)} of {len(paths)} images were checked")
    try:
        pairs = [(finding.path, finding.kind) for finding in findings]
        errors += write_lists(args, pairs, are_all=not errors)
    except ConfigError as error:
        errors.append(str(error))
    errors += print_lines(report(findings))
    if errors:
        end(errors, code)
    if any(finding.kind for finding in findings):
        sys.exit(1)


@one_line_on_ctrl_c()
def main() -> None:
    args = parse_args()
    from mim_plugins.datasets.archive_places import is_archive_place  # imports PyTorch

    if not os.path.isdir(args.root) and not is_archive_place(args.root):
        sys.exit(f"error: there is no folder or archive '{printable(args.root)}'")
    if args.list and not args.list.is_file():
        sys.exit(f"error: there is no file '{printable(args.list)}'")
    try:
        paths, left_out = list_images(args)
        check_inputs(args, paths)
    except (UserError, ValueError) as error:
        sys.exit(f"error: {error}")
    if left_out:
        print(f"left out: {left_out}")
    if not paths:
        sys.exit(f"error: no images in '{printable(args.list or args.root)}'")
    findings: list[Finding] = []
    errors: list[str] = []
    code = 1
    try:
        with exit_at_sigterm():
            for finding in check_all(paths, args.workers, args.channels):
                findings.append(finding)
    except KeyboardInterrupt:
        code = INTERRUPTED_EXIT_CODE
        errors.append("interrupted by Ctrl-C")
    except SystemExit as stop:
        code = int(stop.code or 0)
        errors.append("interrupted by SIGTERM")
    except Exception as error:  # any error keeps what was found, perhaps in hours
        errors.append(describe(error))
    with without_interruptions():
        finish(args, paths, findings, errors, code)


if __name__ == "__main__":
    main()

"""Lists of good and corrupt images that a check writes."""

import argparse
import os
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path

from written_list import prepare_list, write_list

from mim_plugins.archives import HUB, contains_file, is_url, split_address
from mim_plugins.errors import ConfigError
from mim_plugins.file_names import printable, quote_name


def prepare_lists(args: argparse.Namespace) -> None:
    """Create the folders of the lists, and check that each can be written.

    Raises:
        ConfigError: one cannot, or is the file of another option.
    """
    files = {"--list": args.list, **_written(args)}
    # devices such as /dev/stdout take several lists
    files = {o: path for o, path in files.items() if path and (path.is_file() or not path.exists())}
    for (first, one), (second, other) in combinations(files.items(), 2):
        if one.resolve() == other.resolve():
            raise ConfigError(
                f"{second}: '{printable(other)}' is the file of {first}: give another file"
            )
    for option, path in _written(args).items():
        try:
            prepare_list(path)
        except ConfigError as error:
            raise ConfigError(f"{option}: {error}") from error
    for (option, path), (other, file) in product(_written(args).items(), files.items()):
        partial = partial_list(path)
        if partial.resolve() == file.resolve():
            raise ConfigError(
                f"{option}: '{printable(path)}' would be '{printable(partial)}' after Ctrl-C, the"
                f" file of {other}: give another file"
            )


def check_inputs(args: argparse.Namespace, paths: Sequence[str]) -> None:
    """Refuse lists that would replace the data.

    Raises:
        ConfigError: a list is an image to check, or an archive of some.
    """
    for option, path in _written(args).items():
        if contains_file(paths, path):
            raise ConfigError(
                f"{option}: '{printable(path)}' is one of the images or archives to check: give"
                " another file"
            )


def partial_list(path: Path) -> Path:
    """Return the file of a list of some images, where that of all may exist."""
    return path.with_name(f"{path.name}.partial")


def write_lists(
    args: argparse.Namespace, findings: Sequence[tuple[str, str]], are_all: bool = True
) -> list[str]:
    """Write the lists; an error of one does not lose the other.

    Args:
        args: arguments of the tool.
        findings: path and corruption of each image, ``""`` for good ones.
        are_all: whether all images were checked. Otherwise files that exist are kept, and the lists
            have other names.

    Returns:
        A message for each file that is kept.

    Raises:
        ConfigError: a list cannot be written.
    """
    bad = [f"{quote_name(path)}\t{kind}" for path, kind in findings if kind]
    good = [quote_name(_name_in(args.root, path)) for path, kind in findings if not kind]
    errors, kept = [], []
    for path, lines in ((args.out, bad), (args.write_list, good)):
        if not path:
            continue
        keeps = not are_all and path.is_file()
        file = partial_list(path) if keeps else path
        try:
            write_list(file, lines)
        except ConfigError as error:
            errors.append(str(error))
        else:
            kept += [f"'{printable(path)}' is kept, see '{printable(file)}'"] if keeps else []
    if errors:
        raise ConfigError("; ".join([*kept, *errors]))
    return kept


def _written(args: argparse.Namespace) -> dict[str, Path]:
    options = {"--out": args.out, "--write-list": args.write_list}
    return {option: path for option, path in options.items() if path}


def _name_in(root: str, path: str) -> str:
    """Return the path of an image relative to a folder, or its name in an archive."""
    address = split_address(path)
    if address and address[0] == root:
        return address[1]
    if is_url(path) or (address and address[0].startswith(HUB)):
        return path
    folder = os.path.join(root, "")
    if os.path.isdir(root) and path.startswith(folder):
        return path[len(folder) :]
    # not abspath() or relpath(), which remove '..' behind a link
    return os.path.join(os.getcwd(), path)

"""Write a list of a subset of the labeled training images, for fine-tuning with few labels.

DATA_ROOT contains train/CLASS/IMAGE. Each line is 'CLASS/IMAGE LABEL', the ann_file format of
mmpretrain's ImageNet and CustomDataset. Labels number the class folders in alphabetical order.
"""

import argparse
import random
import sys
from pathlib import Path

from written_list import write_list

from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c
from mim_plugins.file_names import printable, quote_name, read_lines, unquote_name


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_root", type=Path, help="folder with train/CLASS/IMAGE")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument(
        "--fraction", type=float, help="share of each class, such as 0.01; takes at least one image"
    )
    choice.add_argument(
        "--names",
        type=Path,
        help="file with one image name per line, with or without folder, such as SimCLR's lists",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the random choice")
    parser.add_argument("--split", default="train", help="folder in DATA_ROOT to choose from")
    parser.add_argument(
        "--out",
        type=Path,
        help="file to write; DATA_ROOT/meta/train_1percent.txt for 0.01, and"
        " train_1percent_seed7.txt with --seed 7; a list of other images is not overwritten",
    )
    args = parser.parse_args(command_words())
    if args.fraction is not None and not 0 < args.fraction <= 1:
        parser.error(f"--fraction {args.fraction} must be above 0 and at most 1")
    if args.out is None and args.names is not None:
        parser.error("--names needs --out, the file to write")
    return args


def read_classes(folder: Path) -> dict[str, list[str]]:
    """Return the sorted image paths of each class, relative to its folder.

    Raises:
        ValueError: the folder does not exist or has no class folders, or a class has no images.
    """
    from mim_plugins.datasets.image_files import IMAGE_SUFFIXES  # imports PyTorch
    from mim_plugins.datasets.images_by_class import images_by_class

    if not folder.is_dir():
        raise ValueError(
            f"there is no folder '{printable(folder)}'; it must contain a folder per class"
        )
    classes, scan = images_by_class(folder)
    left_out = scan.describe_left_out()
    if left_out:
        print(f"left out: {left_out}", file=sys.stderr)
    for name, files in classes.items():
        if not files:
            suffixes = " ".join(IMAGE_SUFFIXES)
            raise ValueError(
                f"class folder '{printable(folder / name)}' has no images ({suffixes})"
            )
    if not classes:
        raise ValueError(f"'{printable(folder)}' has no class folders")
    return classes


def names_in(file: Path) -> list[str]:
    return [unquote_name(line) for line in read_lines(file)]


def draw(classes: dict[str, list[str]], fraction: float, seed: int) -> dict[str, list[str]]:
    """Choose a ``fraction`` of each class at random, rounded, but at least one image."""
    drawn = {}
    for name, files in classes.items():
        # one generator per class: the choice does not depend on other classes
        generator = random.Random(f"{seed} {name}")
        count = max(1, round(len(files) * fraction))
        drawn[name] = sorted(generator.sample(files, count))
    return drawn


def select(classes: dict[str, list[str]], names: list[str]) -> dict[str, list[str]]:
    """Choose the images with these names, which may include the class folder.

    Raises:
        ValueError: an image does not exist, or its name occurs more than once.
    """
    places: dict[str, set[tuple[str, str]]] = {}
    for folder, files in classes.items():
        for file in files:
            for key in (f"{folder}/{file}", file, file.rpartition("/")[2]):
                places.setdefault(key, set()).add((folder, file))
    selected: dict[str, set[str]] = {name: set() for name in classes}
    for name in names:
        found = sorted(places.get(name, ()))
        if len(found) != 1:
            where = ", ".join(printable("/".join(place)) for place in found)
            problem = f"means several images ({where})" if found else "is not there"
            raise ValueError(f"image '{printable(name)}' {problem}")
        ((folder, file),) = found
        selected[folder].add(file)
    return {name: sorted(files) for name, files in selected.items()}


def default_out(args: argparse.Namespace) -> Path:
    seed = f"_seed{args.seed}" if args.seed else ""
    return args.data_root / f"meta/{args.split}_{100 * args.fraction:g}percent{seed}.txt"


def write_new(out: Path, lines: list[str]) -> None:
    """Write a list.

    Raises:
        ValueError: the file exists with other content, which runs may use, or cannot be written.
    """
    if out.is_file() and read_lines(out) != lines:
        raise ValueError(
            f"'{printable(out)}' exists and lists other images: remove it, or give another file"
            " with --out"
        )
    write_list(out, lines)


@one_line_on_ctrl_c()
def main() -> None:
    args = parse_args()
    out = args.out or default_out(args)
    try:
        classes = read_classes(args.data_root / args.split)
        if args.names is not None:
            chosen = select(classes, names_in(args.names))
        else:
            chosen = draw(classes, args.fraction, args.seed)
        lines = [
            f"{quote_name(f'{name}/{file}')} {label}"
            for label, (name, files) in enumerate(chosen.items())
            for file in files
        ]
        write_new(out, lines)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    sizes = [len(files) for files in chosen.values()]
    each = " to ".join(map(str, sorted({min(sizes), max(sizes)})))
    print(
        f"{len(lines)} of {sum(map(len, classes.values()))} images, {each} of each of"
        f" {len(classes)} classes: {out}"
    )


if __name__ == "__main__":
    main()

"""Check that a data set has the layout that the configs expect, and write a missing ImageNet list.

Every listed image must exist; tools/misc/check_dataset.py checks that images can be decoded. For
an ImageNet with a flat val folder, the tool writes meta/val.txt from LOC_val_solution.csv or from
the unpacked ILSVRC2012_devkit_t12 (needs scipy), found in ROOT or given by --val-labels. Exit code
0: the data set is usable. 1: something is missing; the message includes the archive that has it.

`prepare_dataset.py pack SOURCE OUT` packs images into one file: `prepare_dataset.py pack --help`.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from imagenet import check_imagenet
from splits import Split, UnusableError, check_order, read_labels, require_files, shown

from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c
from mim_plugins.errors import UserError


def check_inat(root: Path, year: int, official: tuple[int | None, int | None]) -> list[Split]:
    from mim_plugins.datasets import INaturalist  # imports PyTorch, like the imports below

    sets = {
        split: INaturalist(year, split, str(root), pipeline=[], lazy_init=True)
        for split in ("train", "val")
    }
    return _listed(sets, official)


def check_places365(root: Path) -> list[Split]:
    from mim_plugins.datasets import Places365

    size = "large" if (root / "data_large").is_dir() else "small"
    sets = {
        split: Places365(split, size, str(root), pipeline=[], lazy_init=True)
        for split in ("train", "val")
    }
    return _listed(sets, (None, None))


def _listed(sets: dict, official: tuple[int | None, int | None]) -> list[Split]:
    return [
        Split(name, [item["img_path"] for item in dataset.load_data_list()], number)
        for (name, dataset), number in zip(sets.items(), official, strict=True)
    ]


def check_places205(root: Path) -> list[Split]:
    from mmpretrain.datasets.categories import PLACES205_CATEGORIES

    folder = "data/vision/torralba/deeplearning/images256"
    lists = {split: f"trainvalsplit_places205/{split}_places205.csv" for split in ("train", "val")}
    remedy = "unpack trainvalsplit_places205.tar.gz and imagesPlaces205_resize.tar.gz there"
    require_files(root, [*lists.values(), folder], remedy)
    for file in lists.values():
        check_order(root / file, PLACES205_CATEGORIES)
    return [
        Split(split, read_labels(root / file, root / folder, 205)) for split, file in lists.items()
    ]


def check_coco(root: Path) -> list[Split]:
    from mim_plugins.datasets.folder_layouts import COCO

    splits = dict(train2017=118287, val2017=5000)
    lists = {name: root / f"annotations/instances_{name}.json" for name in splits}
    remedy = "unpack train2017.zip, val2017.zip and annotations_trainval2017.zip there"
    require_files(root, COCO, remedy)
    found = []
    for name, file in lists.items():
        content = json.loads(file.read_bytes())
        if not {"images", "annotations", "categories"} <= set(content):
            raise UnusableError(f"'{file}' has no images, annotations and categories")
        if len(content["categories"]) != 80:
            raise UnusableError(f"'{file}' has {len(content['categories'])} classes; COCO has 80")
        paths = [str(root / name / image["file_name"]) for image in content["images"]]
        found.append(Split(name, paths, splits[name]))
    return found


def check_ade20k(root: Path) -> list[Split]:
    from mim_plugins.datasets.folder_layouts import ADE20K
    from mim_plugins.datasets.image_files import is_hidden

    splits = dict(training=20210, validation=2000)
    require_files(
        root, ADE20K, "unpack ADEChallengeData2016.zip and give its folder ADEChallengeData2016"
    )
    found = []
    for split, official in splits.items():
        found_images = (root / "images" / split).glob("*.jpg")
        images = sorted(path for path in found_images if not is_hidden(path.name))
        maps = [root / "annotations" / split / f"{image.stem}.png" for image in images]
        missing = [path for path in maps if not path.is_file()]
        if missing:
            raise UnusableError(f"{len(missing)} images of {split} have no '{missing[0].name}'")
        found.append(Split(split, [str(image) for image in images], official))
    return found


CHECKS: dict[str, Callable[[Path], list[Split]]] = dict(
    inat2018=lambda root: check_inat(root, 2018, (437513, 24426)),
    inat2019=lambda root: check_inat(root, 2019, (None, None)),
    places205=check_places205,
    places365=check_places365,
    coco=check_coco,
    ade20k=check_ade20k,
)


def report(split: Split) -> bool:
    """Print the number of images of a split, and return whether it is usable."""
    missing = [path for path in split.paths if not os.path.isfile(path)]
    count = len(split.paths) - len(missing)
    notes = [split.note] if split.note else []
    if split.official not in (None, len(split.paths)):
        notes.append(f"the official split has {split.official}")
    print(f"{split.name}: {count} images" + "".join(f"; note: {note}" for note in notes))
    if missing:
        names = shown(missing)
        print(f"error: {split.name}: {len(missing)} listed images are missing, such as {names}")
    return count > 0 and not missing


@one_line_on_ctrl_c()
def main() -> None:
    if sys.argv[1:2] == ["pack"]:
        import pack

        pack.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["imagenet", *CHECKS])
    parser.add_argument("root", type=Path, help="folder of the data set")
    parser.add_argument("--val-labels", type=Path, help="source of ImageNet's validation labels")
    args = parser.parse_args(command_words())
    if not args.root.is_dir():
        sys.exit(f"error: there is no folder '{args.root}'")
    if args.val_labels and not args.val_labels.exists():
        sys.exit(f"error: there is no '{args.val_labels}'")
    try:
        if args.dataset == "imagenet":
            splits = check_imagenet(args.root, args.val_labels)
        else:
            splits = CHECKS[args.dataset](args.root)
    except (UnusableError, UserError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    usable = [report(split) for split in splits]
    if not all(usable):
        sys.exit(f"error: '{args.root}' is not a usable {args.dataset}")
    print(f"usable: give it as --data-root {args.root}")


if __name__ == "__main__":
    main()

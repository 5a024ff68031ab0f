"""Check that a data set lies as the configs expect, and write the list that it lacks.

It looks that every listed image is there, not inside the images: tools/check_dataset.py does that.
For an ImageNet whose val folder is flat, meta/val.txt is written from LOC_val_solution.csv or the
unpacked ILSVRC2012_devkit_t12 (needs scipy), in ROOT or named by --val-labels. Exit code 0: it
can be trained on. 1: something is missing; it is named, with the archive that holds it.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from mim_plugins.datasets import INaturalist, Places365
from mim_plugins.datasets.image_files import images_by_class, is_hidden
from mim_plugins.datasets.image_lists import read_labeled_list
from mim_plugins.errors import DataNotFoundError
from mim_plugins.file_names import printable, read_lines

_SHOWN = 3


class Split(NamedTuple):
    """What was found of one split."""

    name: str
    paths: list[str]
    official: int | None = None
    note: str = ""


class UnusableError(Exception):
    """Something is missing; one message per thing, with the remedy."""


def shown(names: list[str]) -> str:
    return ", ".join(map(printable, names[:_SHOWN]))


def require_files(root: Path, names: Iterable[str], remedy: str) -> None:
    missing = [name for name in names if not (root / name).exists()]
    if missing:
        raise UnusableError(f"'{root}' has no {', '.join(missing)}: {remedy}")


def read_labels(file: Path, folder: Path, classes: int) -> list[str]:
    """Paths of a list ``NAME LABEL``, whose labels must be below ``classes``."""
    return [str(folder / name) for name, _ in read_labeled_list(file, classes)]


def class_folders(folder: Path) -> dict[str, list[str]]:
    """Images of each class folder, as they are numbered in training: in sorted order."""
    classes, scan = images_by_class(folder)
    if scan.left_out:
        print(f"left out of '{printable(folder)}': {scan.describe_left_out()}")
    return {name: [str(folder / name / path) for path in paths] for name, paths in classes.items()}


def check_imagenet(root: Path, val_labels: Path | None) -> list[Split]:
    for name, archive in (("train", "ILSVRC2012_img_train.tar"), ("val", "ILSVRC2012_img_val.tar")):
        require_files(root, [name], f"unpack {archive} there")
    packed = sorted((root / "train").glob("n*.tar"))
    if packed:
        raise UnusableError(
            f"train holds {len(packed)} archives such as {packed[0].name}: unpack each into a"
            " folder of its name, train/CLASS/"
        )
    classes = class_folders(root / "train")
    empty = [name for name, paths in classes.items() if not paths]
    if empty or not classes:
        raise UnusableError(
            f"train has {len(classes)} class folders, {len(empty)} of them without images:"
            f" {shown(empty) or 'unpack ILSVRC2012_img_train.tar there'}"
        )
    note = "" if len(classes) == 1000 else f"{len(classes)} classes; ImageNet-1k has 1000"
    train = Split("train", list(chain(*classes.values())), 1281167, note)
    if (root / "meta/train.txt").is_file():
        listed = read_labels(root / "meta/train.txt", root / "train", 1000)
        train = Split("train (meta/train.txt)", listed, 1281167)
    return [train, _imagenet_val(root, sorted(classes), val_labels)]


def _imagenet_val(root: Path, classes: list[str], val_labels: Path | None) -> Split:
    val, ann_file = root / "val", root / "meta/val.txt"
    if not ann_file.is_file():
        folders = class_folders(val)
        if folders and sorted(folders) != classes:
            different = sorted(set(folders) ^ set(classes))
            raise UnusableError(
                f"val and train have different class folders ({shown(different)} ...),"
                " so that labels would differ: give both the same"
            )
        if folders:
            return Split("val", list(chain(*folders.values())), 50000)
        _write_val_list(root, classes, val_labels)
    return Split("val (meta/val.txt)", read_labels(ann_file, val, len(classes)), 50000)


def _write_val_list(root: Path, classes: list[str], source: Path | None) -> None:
    candidates = [root / "LOC_val_solution.csv", root / "ILSVRC2012_devkit_t12"]
    found = [path for path in ([source] if source else candidates) if path.exists()]
    if not found:
        raise UnusableError(
            f"'{root / 'val'}' has no class folders, and there is no meta/val.txt with lines"
            " 'ILSVRC2012_val_00000001.JPEG 65'. Its labels are in LOC_val_solution.csv (of"
            " Kaggle's ImageNet Object Localization Challenge) and in ILSVRC2012_devkit_t12.tar.gz"
            " (of image-net.org): put one of them, unpacked, in ROOT or give it as --val-labels"
        )
    names = _kaggle_labels(found[0]) if found[0].is_file() else _devkit_labels(found[0])
    unknown = set(names.values()) - set(classes)
    if unknown:
        raise UnusableError(f"train has no folder {min(unknown)}, a class of '{found[0]}'")
    labels = {name: label for label, name in enumerate(classes)}
    lines = [f"{file}.JPEG {labels[name]}\n" for file, name in sorted(names.items())]
    (root / "meta").mkdir(exist_ok=True)
    (root / "meta/val.txt").write_text("".join(lines))
    print(f"wrote {root / 'meta/val.txt'}: {len(lines)} labels of {found[0]}")


def _kaggle_labels(file: Path) -> dict[str, str]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        if rows.fieldnames != ["ImageId", "PredictionString"]:
            raise UnusableError(f"'{file}' is not LOC_val_solution.csv: its header is another one")
        return {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}


def _devkit_labels(folder: Path) -> dict[str, str]:
    data = folder / "data"
    names = ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")
    require_files(data, names, "unpack ILSVRC2012_devkit_t12.tar.gz again")
    try:
        from scipy.io import loadmat
    except ImportError:
        raise UnusableError("meta.mat is read by scipy: pip install scipy") from None
    synsets = loadmat(data / names[0], simplify_cells=True)["synsets"]
    wnids = {int(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in synsets}
    truth = [int(line) for line in read_lines(data / names[1])]
    return {f"ILSVRC2012_val_{i:08d}": wnids[label] for i, label in enumerate(truth, 1)}


def check_inat(root: Path, year: int, official: tuple[int | None, int | None]) -> list[Split]:
    sets = {
        split: INaturalist(year, split, str(root), pipeline=[], lazy_init=True)
        for split in ("train", "val")
    }
    return _listed(sets, official)


def check_places365(root: Path) -> list[Split]:
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
    folder = "data/vision/torralba/deeplearning/images256"
    lists = {split: f"trainvalsplit_places205/{split}_places205.csv" for split in ("train", "val")}
    remedy = "unpack trainvalsplit_places205.tar.gz and imagesPlaces205_resize.tar.gz there"
    require_files(root, [*lists.values(), folder], remedy)
    return [
        Split(split, read_labels(root / file, root / folder, 205)) for split, file in lists.items()
    ]


def check_coco(root: Path) -> list[Split]:
    splits = dict(train2017=118287, val2017=5000)
    lists = {name: root / f"annotations/instances_{name}.json" for name in splits}
    names = [*splits, *(str(file.relative_to(root)) for file in lists.values())]
    remedy = "unpack train2017.zip, val2017.zip and annotations_trainval2017.zip there"
    require_files(root, names, remedy)
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
    splits = dict(training=20210, validation=2000)
    folders = [f"{kind}/{split}" for kind in ("images", "annotations") for split in splits]
    require_files(
        root, folders, "unpack ADEChallengeData2016.zip and give its folder ADEChallengeData2016"
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
    """Print what is there of a split; is it usable?"""
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["imagenet", *CHECKS])
    parser.add_argument("root", type=Path, help="folder of the data set")
    parser.add_argument("--val-labels", type=Path, help="source of ImageNet's validation labels")
    args = parser.parse_args()
    if not args.root.is_dir():
        sys.exit(f"error: there is no folder '{args.root}'")
    if args.val_labels and not args.val_labels.exists():
        sys.exit(f"error: there is no '{args.val_labels}'")
    try:
        if args.dataset == "imagenet":
            splits = check_imagenet(args.root, args.val_labels)
        else:
            splits = CHECKS[args.dataset](args.root)
    except (UnusableError, DataNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    usable = [report(split) for split in splits]
    if not all(usable):
        sys.exit(f"error: '{args.root}' is not a usable {args.dataset}")
    print(f"usable: give it as --data-root {args.root}")


if __name__ == "__main__":
    main()

"""Check of ImageNet, and the list of validation labels for a flat val folder."""

import csv
from itertools import chain
from pathlib import Path

from splits import Split, UnusableError, class_folders, read_labels, require_files, shown
from written_list import write_list

from mim_plugins.file_names import read_lines


def check_imagenet(root: Path, val_labels: Path | None) -> list[Split]:
    """Return the splits of an ImageNet, and write meta/val.txt if it is needed.

    Args:
        root: folder with ``train`` and ``val``.
        val_labels: source of the validation labels; None looks for it in ``root``.

    Raises:
        UnusableError: something is missing.
    """
    for name, archive in (("train", "ILSVRC2012_img_train.tar"), ("val", "ILSVRC2012_img_val.tar")):
        require_files(root, [name], f"unpack {archive} there")
    packed = sorted((root / "train").glob("n*.tar"))
    if packed:
        raise UnusableError(
            f"train contains {len(packed)} archives such as {packed[0].name}: unpack each into"
            " train/CLASS/, a folder with the archive's name"
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
                f"val and train have different class folders ({shown(different)} ...), which would"
                " be labeled differently: give both the same class folders"
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
    from mim_plugins.datasets.image_files import find_images  # imports PyTorch

    names = _kaggle_labels(found[0]) if found[0].is_file() else _devkit_labels(found[0])
    unknown = set(names.values()) - set(classes)
    if unknown:
        raise UnusableError(f"train has no folder {min(unknown)}, a class of '{found[0]}'")
    images = {Path(path).name: Path(path).stem for path in find_images(root / "val")}
    missing = sorted(set(names) - set(images.values()))
    if missing:
        raise UnusableError(
            f"'{root / 'val'}' has no image for {len(missing)} of {len(names)} labels of"
            f" '{found[0]}', such as {shown(missing)}: unpack ILSVRC2012_img_val.tar there"
        )
    unlabeled = [path for path, name in images.items() if name not in names]
    if unlabeled:
        raise UnusableError(
            f"'{found[0]}' has no label for {len(unlabeled)} images of val, such as"
            f" {shown(unlabeled)}: download it again, or remove these images"
        )
    labels = {name: label for label, name in enumerate(classes)}
    lines = [f"{path} {labels[names[name]]}" for path, name in images.items()]
    write_list(root / "meta/val.txt", lines)
    print(f"wrote {root / 'meta/val.txt'}: {len(lines)} labels of {found[0]}")


def _kaggle_labels(file: Path) -> dict[str, str]:
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        if rows.fieldnames != ["ImageId", "PredictionString"]:
            raise UnusableError(f"'{file}' is not LOC_val_solution.csv: the header differs")
        labels = {row["ImageId"]: (row["PredictionString"] or "").partition(" ")[0] for row in rows}
    broken = next((name for name, label in labels.items() if not label), None)
    if broken is not None:
        raise UnusableError(f"'{file}' has no label for {broken}: download it again")
    return labels


def _devkit_labels(folder: Path) -> dict[str, str]:
    data = folder / "data"
    names = ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")
    require_files(data, names, "unpack ILSVRC2012_devkit_t12.tar.gz again")
    try:
        from scipy.io import loadmat
    except ImportError:
        raise UnusableError("reading meta.mat needs scipy: pip install scipy") from None
    synsets = loadmat(data / names[0], simplify_cells=True)["synsets"]
    wnids = {int(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in synsets}
    truth = [int(line) for line in read_lines(data / names[1])]
    return {f"ILSVRC2012_val_{i:08d}": wnids[label] for i, label in enumerate(truth, 1)}

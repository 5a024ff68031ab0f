"""CIFAR-10 in memory: decoded once, then served to MMEngine's runner without touching files."""

import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mim_plugins.registry import DATASETS

SPLITS = dict(train=50_000, test=10_000)
CLASSES = 10
PADDING = 4
TEST_IMAGES = 5_000  # of the shuffled test split: a standard error of at most 0.7 points


def decode_once(source: Path, folder: Path) -> None:
    """Write ``<split>_images.npy`` (N, 32, 32, 3), RGB, and ``<split>_labels.npy``, shuffled.

    Args:
        source: the archive, or the folder ``cifar10`` that it holds, with
            ``{train,test}/<class>/*.jpg``.
        folder: where the arrays are kept; what is there already stays.
    """
    if (folder / "test_labels.npy").is_file():
        return
    if not source.exists():
        sys.exit(
            f"error: there is no '{source}'; give --data the archive cifar10.tar.xz, or its folder"
            " with {train,test}/<class>/*.jpg"
        )
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[str, bytes]] = {split: {} for split in SPLITS}
    for path, content in _files(source):
        if path.suffix == ".jpg" and len(path.parts) >= 3 and path.parts[-3] in SPLITS:
            found[path.parts[-3]]["/".join(path.parts[-2:])] = content
    for split, count in SPLITS.items():
        if len(found[split]) != count:
            sys.exit(f"error: '{source}' has {len(found[split])} {split} images, not {count}")
        names = sorted(found[split])
        order = np.random.default_rng(0).permutation(count)
        classes = sorted({name.split("/")[0] for name in names})
        images = [_decode(found[split][names[i]]) for i in order]
        np.save(folder / f"{split}_images.npy", np.stack(images))
        labels = [classes.index(names[i].split("/")[0]) for i in order]
        np.save(folder / f"{split}_labels.npy", np.array(labels))


def _files(source: Path) -> Iterator[tuple[Path, bytes]]:
    if source.is_dir():
        yield from ((path, path.read_bytes()) for path in source.rglob("*.jpg"))
        return
    with tarfile.open(source) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                yield Path(member.name), file.read()


def _decode(content: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def load(folder: Path, split: str, count: int | None = None) -> tuple[Tensor, Tensor]:
    """The first ``count`` images (N, 3, 32, 32), uint8, and labels (N,) of a split."""
    images = np.load(folder / f"{split}_images.npy", mmap_mode="r")[:count]
    labels = np.load(folder / f"{split}_labels.npy")[:count]
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)


def augment(images: Tensor) -> Tensor:
    """Each of (B, 3, H, W) moved by up to four pixels with reflected borders, and half flipped."""
    size = images.shape[-1]
    padded = torch.nn.functional.pad(images.float(), [PADDING] * 4, mode="reflect")
    moves = torch.randint(0, 2 * PADDING + 1, (len(images), 2)).tolist()
    flips = (torch.rand(len(images)) < 0.5).tolist()
    moved = []
    for image, (top, left), flip in zip(padded, moves, flips, strict=True):
        crop = image[:, top : top + size, left : left + size]
        moved.append(crop.flip(-1) if flip else crop)
    return torch.stack(moved)


@DATASETS.register_module()
class CifarArrays(Dataset):
    """Augmented training images without labels, as a runner takes them.

    Args:
        data_root: folder that :func:`decode_once` filled.
        images: how many of the training images to use.
    """

    def __init__(self, data_root: str, images: int) -> None:
        self.images, _ = load(Path(data_root), "train", images)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """An image in another augmentation at every call."""
        return dict(inputs=augment(self.images[index : index + 1])[0])

"""CIFAR-10 as arrays in memory, decoded once, for MMEngine's runner."""

import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch import Tensor
from torch.utils.data import Dataset

from mim_plugins.registry import DATASETS, TRANSFORMS

SPLITS = dict(train=50_000, test=10_000)
CLASSES = 10
PADDING = 4
TEST_IMAGES = 5_000  # of the shuffled test split; the standard error is at most 0.7 points


def decode_once(source: Path, folder: Path) -> None:
    """Write ``<split>_images.npy`` (N, 32, 32, 3), RGB, and ``<split>_labels.npy``, shuffled.

    Args:
        source: the archive, or its folder ``cifar10`` with ``{train,test}/<class>/*.jpg``.
        folder: folder of the arrays; existing arrays are kept.
    """
    if (folder / "test_labels.npy").is_file():
        return
    if not source.exists():
        sys.exit(
            f"error: there is no '{source}'; --data must be the archive cifar10.tar.xz, or its"
            " folder with {train,test}/<class>/*.jpg"
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
        images = [decode(found[split][names[i]], names[i]) for i in order]
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


def decode(content: bytes, name: str) -> np.ndarray:
    """Decode an image file to (H, W, 3), RGB."""
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        sys.exit(f"error: the image '{name}' cannot be decoded")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def load(folder: Path, split: str, count: int | None = None) -> tuple[Tensor, Tensor]:
    """Load the first ``count`` images (N, 3, 32, 32), uint8, and labels (N,) of a split."""
    images = np.load(folder / f"{split}_images.npy", mmap_mode="r")[:count]
    labels = np.load(folder / f"{split}_labels.npy")[:count]
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)


def pad(images: Tensor) -> Tensor:
    """Pad images (N, 3, H, W) with four reflected pixels on each side, for :func:`augment`."""
    padded = torch.nn.functional.pad(images.float(), [PADDING] * 4, mode="reflect")
    return padded.to(images.dtype)


def augment(padded: Tensor) -> Tensor:
    """Crop a window (3, H, W) of a padded image at a random position, and flip half of them."""
    offsets = 2 * PADDING + 1
    top, left = (int(torch.randint(offsets, ())) for _ in range(2))
    flip = bool(torch.rand(()) < 0.5)
    size = padded.shape[-1] - 2 * PADDING
    window = padded[:, top : top + size, left : left + size]
    return window.flip(-1) if flip else window


def choose_labeled(labels: Tensor, per_class: int, seed: int) -> Tensor:
    """Choose the indices of ``per_class`` random images of each class."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    return torch.cat([order[labels[order] == label][:per_class] for label in range(CLASSES)])


@DATASETS.register_module()
class CifarArrays(Dataset):
    """Data set of a split for a runner.

    Args:
        data_root: folder written by :func:`decode_once`.
        images: number of images to use, from ``start`` of the shuffled split.
        start: first image.
        split: ``'train'``, whose images are augmented unless ``augmented`` is False, or ``'test'``.
        mask: config of the transform that samples a mask for each image (SimMIM); None for no mask.
        labeled: return labels.
        per_class: use only this many images of each class, with labels; None uses all.
        seed: seed of the choice of these images.
        augmented: augment training images.
    """

    def __init__(
        self,
        data_root: str,
        images: int,
        split: str = "train",
        mask: dict | None = None,
        labeled: bool = False,
        per_class: int | None = None,
        seed: int = 0,
        start: int = 0,
        augmented: bool = True,
    ) -> None:
        read = load(Path(data_root), split, start + images)
        self.images, self.labels = read[0][start:], read[1][start:]
        if per_class is not None:
            chosen = choose_labeled(self.labels, per_class, seed)
            self.images, self.labels = self.images[chosen], self.labels[chosen]
        self.augmented = augmented and split == "train"
        if self.augmented:
            self.images = pad(self.images)
        self.mask: Any = TRANSFORMS.build(mask) if mask else None
        self.labeled = labeled

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return an image (3, H, W) of 0 to 255, with a new augmentation at every call."""
        image = self.images[index]
        item: dict[str, Any] = dict(inputs=augment(image) if self.augmented else image)
        if self.mask or self.labeled:
            item["data_samples"] = sample = DataSample()
            if self.mask:
                sample.set_field(torch.from_numpy(self.mask({})["mask"]), "mask")
            if self.labeled:
                sample.set_gt_label(self.labels[index])
        return item

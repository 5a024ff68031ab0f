"""scikit-learn's handwritten digits as image files, with lists of few labels and a test split."""

from pathlib import Path

import cv2
import numpy as np
from sklearn.datasets import load_digits

IMAGE_SIDE = 32
CLASSES = 10
POOL_PER_CLASS = 50
DIGITS = 1797
TEST_DIGITS = DIGITS - CLASSES * POOL_PER_CLASS


def write_digits(folder: Path, labels_per_class: int, seeds: tuple[int, ...]) -> None:
    """Write all 1,797 digits into ``folder``, with lists of the labeled and the test digits.

    ``images/<class>/*.png`` are the digits, ``labels_seed<n>.txt`` lists the labeled digits of each
    seed, and ``test.txt`` the test digits, which are labeled for no seed. The lists have the
    annotation format of mmpretrain's ``CustomDataset``.

    Raises:
        OSError: an image cannot be written.
    """
    digits = load_digits()
    lines = []
    for label in range(CLASSES):
        (folder / "images" / str(label)).mkdir(parents=True)
    for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        image = cv2.resize(
            np.round(pixels * (255 / 16)).astype(np.uint8),
            (IMAGE_SIDE, IMAGE_SIDE),
            interpolation=cv2.INTER_CUBIC,
        )
        name = f"{label}/{index:04d}.png"
        if not cv2.imwrite(str(folder / "images" / name), image):
            raise OSError(f"could not write '{folder / 'images' / name}'")
        lines.append(f"{name} {label}")
    pool, test = split(digits.target)
    write_list(folder / "test.txt", lines, test)
    for seed in seeds:
        write_list(folder / label_file(seed), lines, draw(pool, labels_per_class, seed))


def label_file(seed: int) -> str:
    """Return the name of the list of labeled digits of a seed."""
    return f"labels_seed{seed}.txt"


def split(target: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the indices of each class for training, and the indices of the test digits."""
    order = np.random.default_rng(0).permutation(len(target))
    pool = [order[target[order] == label][:POOL_PER_CLASS] for label in range(CLASSES)]
    return pool, np.setdiff1d(order, np.concatenate(pool))


def draw(pool: list[np.ndarray], labels_per_class: int, seed: int) -> np.ndarray:
    """Choose ``labels_per_class`` indices of each class at random."""
    rng = np.random.default_rng(seed)
    return np.sort(
        np.concatenate([rng.choice(part, labels_per_class, replace=False) for part in pool])
    )


def write_list(file: Path, lines: list[str], indices: np.ndarray) -> None:
    """Write the lines of the given digits."""
    file.write_text("".join(f"{lines[index]}\n" for index in indices))

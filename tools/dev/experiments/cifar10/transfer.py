"""Evaluate a frozen encoder by k-NN on images of other data sets."""

import argparse
import json
from pathlib import Path

import cifar_vit  # noqa: F401  registers the teacher
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from cifar_arrays import decode
from evaluate import build_encoder, encoder_features
from imagenet_groups import GROUP_OF
from mmengine.config import Config
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from mim_plugins.evaluation import LabeledFeatures, knn_accuracy

_SIDE = 32
_NEIGHBORS = 20
_FEW_NEIGHBORS = 5  # in groups of as few as nine images


def digits() -> tuple[Tensor, Tensor]:
    """Return scikit-learn's digits as images (N, 3, 32, 32) of 0 to 255, with their labels."""
    data = load_digits()
    images = torch.from_numpy(data.images).float()[:, None] * (255 / 16)
    images = F.interpolate(images, (_SIDE, _SIDE), mode="bilinear")
    return images.expand(-1, 3, -1, -1), torch.from_numpy(data.target)


def imagenet(folder: Path) -> tuple[Tensor, list[str]]:
    """Return the images (N, 3, 32, 32) of ImageNet's classes in the ten groups, and their groups.

    Args:
        folder: images named ``<WordNet ID>_<class>.JPEG``.
    """
    images, groups = [], []
    for file in sorted(folder.glob("*.JPEG")):
        group = GROUP_OF.get(file.stem.partition("_")[2])
        if group is not None:
            images.append(_square(decode(file.read_bytes(), str(file))))
            groups.append(group)
    if not images:
        raise SystemExit(f"error: '{folder}' has no image <WordNet ID>_<class>.JPEG")
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), groups


def _square(image: np.ndarray) -> np.ndarray:
    """Crop the central square and reduce it to 32x32 pixels."""
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    crop = image[top : top + side, left : left + side]
    return cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)


def digits_accuracy(features: Tensor, labels: Tensor) -> float:
    """Return the top-1 accuracy in percent of one half of the images, with the other half."""
    parts = train_test_split(features, labels, test_size=0.5, random_state=0, stratify=labels)
    train, test = LabeledFeatures(parts[0], parts[2]), LabeledFeatures(parts[1], parts[3])
    return knn_accuracy(train, test)[_NEIGHBORS].top1


def group_accuracy(features: Tensor, groups: list[str]) -> float:
    """Return the mean accuracy in percent of the groups, each image with all the others."""
    classifier = KNeighborsClassifier(_FEW_NEIGHBORS, metric="cosine", weights="distance")
    predicted = cross_val_predict(classifier, features.numpy(), groups, cv=LeaveOneOut())
    return 100 * float(balanced_accuracy_score(groups, predicted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="JSON file to write")
    parser.add_argument("config", type=Path, help="config of the pre-training")
    parser.add_argument("--imagenet", type=Path, required=True, help="<WordNet ID>_<class>.JPEG")
    parser.add_argument("--checkpoint", type=Path, help="(default: random weights)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    encoder = build_encoder(cfg, args.checkpoint, args.seed)

    def features(images: Tensor) -> Tensor:
        return encoder_features(encoder, images, cfg)

    images, labels = digits()
    result = dict(digits=digits_accuracy(features(images), labels))
    images, groups = imagenet(args.imagenet)
    result["imagenet"] = group_accuracy(features(images), groups)
    args.result.write_text(json.dumps(result))
    print(result)


if __name__ == "__main__":
    main()

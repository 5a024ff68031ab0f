"""Evaluate a frozen encoder by k-NN on images of other data sets."""

import argparse
import json
from pathlib import Path

import cifar_vit  # noqa: F401  registers the teacher
import torch
import torch.nn.functional as F
from evaluate import build_encoder, encoder_features
from mmengine.config import Config
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from mim_plugins.evaluation import LabeledFeatures, knn_accuracy

_SIDE = 32
_NEIGHBORS = 20


def digits() -> tuple[Tensor, Tensor]:
    """Return scikit-learn's digits as images (N, 3, 32, 32) of 0 to 255, with their labels."""
    data = load_digits()
    images = torch.from_numpy(data.images).float()[:, None] * (255 / 16)
    images = F.interpolate(images, (_SIDE, _SIDE), mode="bilinear")
    return images.expand(-1, 3, -1, -1), torch.from_numpy(data.target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="JSON file to write")
    parser.add_argument("config", type=Path, help="config of the pre-training")
    parser.add_argument("--checkpoint", type=Path, help="(default: random weights)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    encoder = build_encoder(cfg, args.checkpoint, args.seed)
    images, labels = digits()
    features = encoder_features(encoder, images, cfg)
    parts = train_test_split(features, labels, test_size=0.5, random_state=0, stratify=labels)
    train, test = LabeledFeatures(parts[0], parts[2]), LabeledFeatures(parts[1], parts[3])
    result = dict(digits=knn_accuracy(train, test)[_NEIGHBORS].top1)
    args.result.write_text(json.dumps(result))
    print(result)


if __name__ == "__main__":
    main()

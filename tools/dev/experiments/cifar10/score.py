"""Evaluate a fine-tuned classifier on all test images, image by image."""

import argparse
import base64
import json
from pathlib import Path

import cifar_vit  # noqa: F401  registers the teacher
import mmpretrain.models  # noqa: F401  registers the classifier
import numpy as np
import torch
from cifar_arrays import SPLITS, load
from mmengine.config import Config
from mmengine.runner import load_checkpoint

from mim_plugins.registry import MODELS


def pack(hits: np.ndarray) -> str:
    """Return booleans (N,) as text."""
    return base64.b64encode(np.packbits(hits).tobytes()).decode()


def unpack(text: str, count: int) -> np.ndarray:
    """Return the booleans (N,) of :func:`pack`."""
    bits = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.unpackbits(bits, count=count).astype(bool)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arrays", type=Path, help="folder of the decoded data")
    parser.add_argument("result", type=Path, help="JSON file to write")
    parser.add_argument("config", type=Path, help="config of the fine-tuning")
    parser.add_argument("checkpoint", type=Path, help="its best checkpoint")
    parser.add_argument("--images", type=int, default=SPLITS["test"])
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor)).eval()
    load_checkpoint(model, str(args.checkpoint), map_location="cpu", strict=True)
    images, labels = load(args.arrays, "test", args.images)
    predicted = [
        model(model.data_preprocessor(dict(inputs=list(part)))["inputs"], mode="tensor").argmax(1)
        for part in images.split(500)
    ]
    hits = (torch.cat(predicted) == labels).numpy()
    result = dict(accuracy=100 * float(hits.mean()), hits=pack(hits), images=len(hits))
    args.result.write_text(json.dumps(result))
    print(result["accuracy"])


if __name__ == "__main__":
    main()

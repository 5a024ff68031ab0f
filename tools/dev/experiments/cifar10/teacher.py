"""Train the teacher, a small timm ViT, on CIFAR-10 with labels."""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from cifar_arrays import TEST_IMAGES, augment, load, pad
from cifar_vit import normalized
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

BATCH, LEARNING_RATE, WEIGHT_DECAY, SMOOTHING = 128, 1e-3, 0.05, 0.1


def train(folder: Path, images_used: int, epochs: int) -> VisionTransformer:
    """Train on the first images of the training split, with a one-cycle learning rate."""
    images, labels = load(folder, "train", images_used)
    padded = pad(images)
    torch.manual_seed(0)
    model: Any = timm.create_model("cifar_vit")
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = math.ceil(len(images) / BATCH) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for epoch in range(epochs):
        start, total = time.monotonic(), 0.0
        for chosen in torch.randperm(len(images)).split(BATCH):
            batch = torch.stack([augment(padded[i]) for i in chosen])
            tokens = model.forward_features(normalized(batch))
            # the class token provides attention, the patch tokens are targets: train both
            outputs = model.head(torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)]))
            truth = labels[chosen].repeat(2)
            loss = F.cross_entropy(outputs, truth, label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        seconds = time.monotonic() - start
        print(f"epoch {epoch + 1}: loss {total / len(images):.3f}, {seconds:.0f} s", flush=True)
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the top-1 accuracy in percent."""
    hits = [
        (model(normalized(part)).argmax(dim=1) == truth).sum().item()
        for part, truth in zip(images.split(500), labels.split(500), strict=True)
    ]
    return 100 * sum(hits) / len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arrays", type=Path, help="folder of the decoded data")
    parser.add_argument("weights", type=Path, help="file to write")
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    args = parser.parse_args()
    model = train(args.arrays, args.images, args.epochs)
    result = dict(accuracy=accuracy(model, *load(args.arrays, "test", TEST_IMAGES)))
    torch.save(model.state_dict(), args.weights)
    args.weights.with_suffix(".json").write_text(json.dumps(result))
    print(result)


if __name__ == "__main__":
    main()

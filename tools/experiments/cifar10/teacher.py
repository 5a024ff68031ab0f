"""The teacher: a small timm ViT, trained on CIFAR-10 with labels before any student."""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from cifar_arrays import CLASSES, TEST_IMAGES, augment, load
from timm.layers import PatchEmbed
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.244, 0.262)
IMAGES, EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY, SMOOTHING = 25_000, 3, 128, 1e-3, 0.05, 0.1

default_cfgs = generate_default_cfgs(
    {"cifar_vit": dict(input_size=(3, 32, 32), mean=MEAN, std=STD, num_classes=CLASSES)}
)


class ConvPatchEmbed(PatchEmbed):
    """Patch embedding of three small convolutions, which learns faster than one large one."""

    def __init__(self, embed_dim: int, in_chans: int = 3, **kwargs: Any) -> None:
        super().__init__(embed_dim=embed_dim, in_chans=in_chans, **kwargs)
        channels = [in_chans, embed_dim // 4, embed_dim // 2, embed_dim]
        layers: list[nn.Module] = []
        for index, stride in enumerate((1, 2, 2)):
            before, after = channels[index : index + 2]
            layers.append(nn.Conv2d(before, after, 3, stride, padding=1, bias=False))
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        self.proj = nn.Sequential(*layers)


@register_model
def cifar_vit(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """ViT of width 128 and depth 2 on 8x8 tokens, whose mean after the norm is classified."""
    sizes = dict(img_size=32, patch_size=4, embed_dim=128, depth=2, num_heads=4)
    pooling = dict(global_pool="avg", fc_norm=False, class_token=False)
    kwargs = dict(embed_layer=ConvPatchEmbed, num_classes=CLASSES) | kwargs
    return build_model_with_cfg(
        VisionTransformer, "cifar_vit", pretrained, **sizes, **pooling, **kwargs
    )


def normalised(images: Tensor) -> Tensor:
    """Images (B, 3, H, W) of 0 to 255 as the teacher reads them."""
    mean, std = torch.tensor([MEAN, STD]).view(2, 1, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def train(folder: Path, images_used: int, epochs: int) -> nn.Module:
    """Train on the first images of the training split, with a one-cycle learning rate."""
    images, labels = load(folder, "train", images_used)
    torch.manual_seed(0)
    model = timm.create_model("cifar_vit")
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = math.ceil(len(images) / BATCH) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for epoch in range(epochs):
        start, total = time.monotonic(), 0.0
        for chosen in torch.randperm(len(images)).split(BATCH):
            outputs = model(normalised(augment(images[chosen])))
            loss = F.cross_entropy(outputs, labels[chosen], label_smoothing=SMOOTHING)
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
    """Top-1 accuracy in percent."""
    hits = [
        (model(normalised(part)).argmax(dim=1) == truth).sum().item()
        for part, truth in zip(images.split(500), labels.split(500), strict=True)
    ]
    return 100 * sum(hits) / len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arrays", type=Path, help="folder of the decoded data")
    parser.add_argument("weights", type=Path, help="file to write")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()
    model = train(args.arrays, args.images, args.epochs)
    result = dict(accuracy=accuracy(model, *load(args.arrays, "test", TEST_IMAGES)))
    torch.save(model.state_dict(), args.weights)
    args.weights.with_suffix(".json").write_text(json.dumps(result))
    print(result)


if __name__ == "__main__":
    main()

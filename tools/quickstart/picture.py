"""Picture of what a pre-trained MixMAE reconstructs."""

from pathlib import Path

import cv2
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from torch import Tensor

from mim_plugins.registry import MODELS

TITLES = ("original A", "original B", "mixture", "reconstruction A", "reconstruction B")
CAPTION = "Reconstructions: patches that the mixture shows as they are, the others as predicted"


def mixtures_and_reconstructions(cfg: Config, pairs: int, seed: int = 0) -> list[Tensor]:
    """Images (pairs, 3, H, W) in the order of ``TITLES``, with values as in the image files."""
    torch.manual_seed(seed)
    cfg.model.data_preprocessor.batch_transform.per_pair = True
    model = MODELS.build(cfg.model).eval()
    load_checkpoint(
        model, cfg.pretrain_checkpoint, map_location="cpu", strict=True, logger="silent"
    )
    files = sorted(Path(cfg.data_root, "images").rglob("*.png"))
    chosen = torch.randperm(len(files))[: 2 * pairs].tolist()
    images = [torch.from_numpy(cv2.imread(str(files[i]))).permute(2, 0, 1) for i in chosen]
    preprocessor = model.data_preprocessor
    batch = preprocessor(dict(inputs=images), training=True)["inputs"]
    columns = (
        batch.images,
        batch.images[batch.partner],
        batch.mixed,
        *model.reconstruct(batch),
    )
    return [column[:pairs] * preprocessor.std + preprocessor.mean for column in columns]


def draw_picture(config: Path, file: Path, pairs: int = 6) -> None:
    """Write a picture with a row per pair: both originals, the mixture, both reconstructions."""
    columns = mixtures_and_reconstructions(Config.fromfile(config), pairs)
    size = (1.6 * len(columns), 1.5 * pairs)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(pairs, len(columns))
    for column, (title, images) in enumerate(zip(TITLES, columns, strict=True)):
        axes[0, column].set_title(title, fontsize=10)
        for row, image in enumerate(images):
            pixels = image.permute(1, 2, 0).clamp(0, 255) / 255
            axes[row, column].imshow(pixels.numpy())
            axes[row, column].set_axis_off()
    figure.supxlabel(CAPTION, fontsize=10)
    figure.savefig(file, dpi=100)

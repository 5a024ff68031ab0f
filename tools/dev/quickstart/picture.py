"""Figure of the reconstructions of a pre-trained MixMAE."""

from pathlib import Path

import torch
from mmengine.config import Config
from PIL import Image
from torch import Tensor

from mim_plugins.apis import load_weights, reconstruct
from mim_plugins.registry import MODELS
from mim_plugins.visualization import draw_grid
from mim_plugins.visualization.panels import panel_caption


def mixtures_and_reconstructions(cfg: Config, pairs: int, seed: int = 0) -> dict[str, Tensor]:
    """Return both originals, the mixture and both reconstructions, as uint8 (pairs, 3, H, W)."""
    cfg.model.data_preprocessor.batch_transform.per_pair = True
    model = MODELS.build(cfg.model)
    load_weights(model, cfg.pretrain_checkpoint)
    files = sorted(Path(cfg.data_root, "images").rglob("*.png"))
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed))
    return reconstruct(model, [files[index] for index in order[: 2 * pairs]], seed)


def draw_picture(config: Path, file: Path, pairs: int = 6) -> None:
    """Write a figure with one row per pair."""
    panels = mixtures_and_reconstructions(Config.fromfile(config), pairs)
    Image.fromarray(draw_grid(panels, panel_caption(panels))).save(file)

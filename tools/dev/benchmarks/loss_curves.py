"""Compare training losses of MixMAE and mmpretrain's MixMIM, with equal weights, images and masks.

With --compile, a compiled MixMAE is compared with the eager one instead. Both start from the same
weights and take the same AdamW steps. The norms of mmpretrain's decoder get the epsilon of the
authors (1e-5), as in this package. Rounding differs, and AdamW amplifies the difference, more so
with a larger learning rate.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arguments import batch_size, image_side, positive
from contestants import PEER, PIXELS, Setup, build
from mmengine.logging import MMLogger
from torch import Tensor, nn

from mim_plugins.cli import add_device_option
from mim_plugins.datasets.image_files import find_images
from mim_plugins.errors import CorruptImageError, DataNotFoundError
from mim_plugins.layers import Grouping
from mim_plugins.masking import MixedImages, choose_partners, mix, sample_masks
from mim_plugins.transforms import LoadRandomResizedCrop

ARCH = dict(embed_dims=32, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8])
SHOWN = 10  # lines of the table
Step = tuple[Tensor, Tensor]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_root", help="folder of images, with sub-folders or without")
    parser.add_argument("--arch", default=json.dumps(ARCH), help="a name, or a JSON object")
    parser.add_argument("--steps", type=positive, default=200)
    parser.add_argument("--batch", type=batch_size, default=8, help="images per step")
    parser.add_argument("--img-size", type=image_side, default=96, help="pixels, a multiple of 32")
    parser.add_argument("--lr", type=float, default=1e-4, help="learning rate of AdamW")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    add_device_option(parser)
    parser.add_argument(
        "--compile",
        metavar="BACKEND",
        help="compare MixMAE after torch.compile by this backend, such as inductor or aot_eager",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all losses to this file")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw both curves in this file")
    return parser.parse_args()


def steps(crops: Tensor, args: argparse.Namespace) -> Iterator[Step]:
    """Yield images (B, 3, H, W) and mask (1, h, w) of each step, the same in every call."""
    generator = torch.Generator().manual_seed(1)
    side = args.img_size // 32
    for number in range(args.steps):
        chosen = torch.randint(len(crops), (args.batch,), generator=generator)
        torch.manual_seed(number)
        yield crops[chosen].to(args.device), sample_masks(1, (side, side), 0.5).to(args.device)


def load_crops(args: argparse.Namespace) -> Tensor:
    """Return a random crop of each image, normalized (N, 3, H, W).

    Raises:
        DataNotFoundError: the folder contains no image.
    """
    paths = find_images(args.data_root)
    if not paths:
        raise DataNotFoundError(f"no images in '{args.data_root}' or its sub-folders")
    load = LoadRandomResizedCrop(args.img_size, flip_prob=0.5)
    np.random.seed(0)
    crops = np.stack([load(dict(img_path=path))["img"] for path in paths])
    pixels = torch.from_numpy(crops[..., ::-1].copy()).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(PIXELS[key]).view(3, 1, 1) for key in ("mean", "std"))
    return ((pixels - mean) / std).to(getattr(torch, args.dtype))


def ours_loss(model: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of our model as a function of images and mask."""

    def loss(images: Tensor, mask: Tensor) -> Tensor:
        partner = choose_partners(len(images)).to(images.device)
        preprocessor, plan = model.data_preprocessor, None
        if preprocessor.static_shapes:  # set by compile()
            plan = preprocessor.planner(mask, images.device, Grouping.WHOLE_GRID)
        batch = MixedImages(images, mix(images, mask, partner), mask, partner, plan=plan)
        return model.loss(batch)["loss_rec"]

    return loss


def peer_loss(model: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of mmpretrain's model as a function of images and mask."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5

    def loss(images: Tensor, mask: Tensor) -> Tensor:
        masks = [
            mask.repeat_interleave(factor, 1).repeat_interleave(factor, 2).reshape(1, -1, 1)
            for factor in (8, 4, 2, 1)
        ]
        own = [part.to(images.dtype) for part in masks]
        model.backbone.random_masking = lambda *_, **__: own
        return model.loss(images, None)["loss"]

    return loss


def curve(
    name: str, crops: Tensor, args: argparse.Namespace, backend: str | None = None
) -> list[float]:
    """Train a contestant, compiled if there is a backend, and return the loss of every step."""
    setup = Setup(
        method="mixmae",
        arch=args.arch,
        batch=args.batch,
        img_size=args.img_size,
        device=args.device,
        dtype="float32",
        teacher="",
        teacher_dtype=None,
    )
    model, _ = build(name, setup)
    model.to(getattr(torch, args.dtype))
    if backend:
        model.compile(backend=backend)
    loss_of = (peer_loss if name == PEER else ours_loss)(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=args.lr, betas=(0.9, 0.95), weight_decay=0.05)
    losses = []
    for images, mask in steps(crops, args):
        loss = loss_of(images, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def compare(ours: list[float], peer: list[float]) -> dict:
    """Return the JSON object."""
    errors = [abs(a - b) / abs(b) for a, b in zip(ours, peer, strict=True)]
    return dict(
        max_relative_error=float(np.max(errors)), relative_error=errors, ours=ours, peer=peer
    )


def table(result: dict, names: tuple[str, str]) -> str:
    """Format both losses at ``SHOWN`` steps."""
    count = len(result["ours"])
    shown = sorted({round(i * (count - 1) / (SHOWN - 1)) for i in range(SHOWN)})
    lines = [f"{'step':>5} {names[0]:>10} {names[1]:>10} {'relative difference':>20}"]
    for step in shown:
        lines.append(
            f"{step + 1:>5} {result['ours'][step]:10.6f} {result['peer'][step]:10.6f}"
            f" {result['relative_error'][step]:20.1e}"
        )
    return "\n".join(lines)


def plot(result: dict, file: Path, names: tuple[str, str]) -> None:
    """Plot both curves in one chart, and their relative difference below."""
    import matplotlib.pyplot as plt

    figure, (curves, difference) = plt.subplots(2, sharex=True, figsize=(7, 6))
    curves.plot(result["peer"], linewidth=3, alpha=0.4, label=names[1])
    curves.plot(result["ours"], linewidth=1, label=names[0])
    curves.set_ylabel("loss")
    curves.legend()
    difference.semilogy([max(error, 1e-17) for error in result["relative_error"]])
    difference.set_ylabel("relative difference")
    difference.set_xlabel("step")
    figure.savefig(file)


def main() -> None:
    args = parse_args()
    MMLogger.get_instance("benchmark", log_level="ERROR")  # omits a line per tensor
    try:
        crops = load_crops(args)
        names = ("compiled", "eager") if args.compile else ("MixMAE", PEER)
        peer = "MixMAE" if args.compile else PEER
        result = compare(curve("MixMAE", crops, args, args.compile), curve(peer, crops, args))
    except (CorruptImageError, DataNotFoundError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(
        f"{args.steps} steps of {args.batch} of {len(crops)} crops of {args.img_size} px,"
        f" {args.dtype} on {args.device}, AdamW of lr {args.lr}"
    )
    print(table(result, names))
    print(f"largest relative difference {result['max_relative_error']:.1e}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))
    if args.plot:
        plot(result, args.plot, names)
        print(f"picture: {args.plot}")


if __name__ == "__main__":
    main()

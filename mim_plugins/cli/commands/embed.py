"""Write the features of images to a file.

MODEL is an exported encoder (.safetensors), or a folder of the Hugging Face hub. A config, or its
name, is followed by the checkpoint of a run with this config.

The features are the mean over all positions of the encoder's last output, the [CLS] token of a ViT
(cls), or the last map. A .npz file contains the arrays paths, features, cls and maps, a .csv file a
line per image, and a .parquet file a row per image. Unreadable images are left out and listed in
OUT.corrupt.csv. On several GPUs: torchrun --nproc-per-node N -m mim_plugins embed ... Exit code 0:
all images were read. 1: an image was unreadable, or another error occurred.
"""

import argparse
from pathlib import Path

from ..config_options import add_config_options
from ..device_option import add_device_option
from ..output_place import require_output

_SUFFIXES = (".npz", ".csv", ".parquet")
_KINDS = ("pooled", "cls", "map")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", metavar="MODEL", help="exported encoder, or config CHECKPOINT")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="image files, folders, lists (.txt) or archives"
    )
    parser.add_argument("--out", default="features.npz", help=f"file: {', '.join(_SUFFIXES)}")
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    parser.add_argument(
        "--features", nargs="+", choices=_KINDS, default=["pooled"], help="kinds (default: pooled)"
    )
    parser.add_argument("--batch-size", type=int, default=32, help="images per batch (default: 32)")
    parser.add_argument("--workers", type=int, help="loading processes (default: by the cores)")
    add_device_option(parser)
    add_config_options(parser)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    if args.batch_size < 1:
        parser.error(f"--batch-size {args.batch_size} must be at least 1")
    if args.workers is not None and args.workers < 0:
        parser.error(f"--workers {args.workers} must be at least 0")
    if Path(args.out).suffix not in _SUFFIXES:
        parser.error(f"--out '{args.out}' must end in one of {' '.join(_SUFFIXES)}")
    args.checkpoint = None if _is_encoder(args.config) else args.images.pop(0)
    if not args.images:
        parser.error("give MODEL and images: an exported encoder, or a config and its checkpoint")
    require_output("--out", args.out, args.force, [args.config, args.checkpoint, *args.images])
    from ..feature_file import write_features

    write_features(args)


def _is_encoder(model: str) -> bool:
    return model.endswith(".safetensors") or (Path(model) / "model.safetensors").is_file()

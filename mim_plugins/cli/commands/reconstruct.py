"""Draw the reconstructions of a pre-trained model.

MixMAE: both originals, the mixture and both reconstructions. MR-MAE: original, visible patches,
reconstruction, similarity of student and teacher, and the attention of the focus teacher. The
normalization of pixels and patches is undone.
"""

import argparse
from pathlib import Path

from ..config_options import add_config_options
from ..device_option import add_device_option
from ..output_place import require_output

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("config", help="pre-training config, a file or a name of list_models()")
    parser.add_argument("checkpoint", help="checkpoint of a run with this config, decoder included")
    parser.add_argument("images", nargs="+", help="files, folders, archives; two images for MixMAE")
    parser.add_argument("--out", default="reconstructions.png", help="image file to write")
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    parser.add_argument("--seed", type=int, default=0, help="seed of masks and mixtures")
    parser.add_argument(
        "--max-images", type=int, default=12, help="use at most this many images, evenly spaced"
    )
    add_device_option(parser)
    parser.add_argument(
        "--no-teachers",
        action="store_true",
        help="build MR-MAE without teachers, whose weights are then not needed; masks are random",
    )
    add_config_options(parser)


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    if args.max_images < 1:
        parser.error(f"--max-images {args.max_images} must be at least 1")
    if Path(args.out).suffix.lower() not in _PICTURES:
        parser.error(f"--out '{args.out}' must end in one of {' '.join(_PICTURES)}")
    require_output("--out", args.out, args.force, [args.config, args.checkpoint, *args.images])
    from ..reconstruction_picture import draw_reconstructions

    draw_reconstructions(args)

"""Draw the reconstructions of a pre-trained model.

MixMAE: both originals, the mixture and both reconstructions. MR-MAE: original, visible patches,
reconstruction, similarity of student and teacher, and the attention of the focus teacher. The
normalization of pixels and patches is undone.
"""

import argparse
from pathlib import Path

from PIL import Image

from mim_plugins.apis import get_model, reconstruct
from mim_plugins.cli import add_config_options, add_device_option, user_errors
from mim_plugins.datasets.image_files import find_images
from mim_plugins.errors import BUILD_ERRORS
from mim_plugins.file_names import printable
from mim_plugins.sampling import evenly_spaced
from mim_plugins.visualization import draw_grid
from mim_plugins.visualization.panels import panel_caption

PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def main() -> None:
    args = parse_args()
    out = Path(args.out)
    with user_errors(also=BUILD_ERRORS):
        found = images_of(args.images)
        images = [found[index] for index in evenly_spaced(len(found), args.max_images)]
        model = get_model(
            args.config, args.checkpoint, args.device, not args.no_teachers, args.cfg_options
        )
        panels = reconstruct(model, images, args.seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_grid(panels, panel_caption(panels))).save(out)
    print(f"{len(images)} images, {len(panels)} panels each: {out}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="pre-training config, a file or a name of list_models()")
    parser.add_argument("checkpoint", help="checkpoint of a run with this config, decoder included")
    parser.add_argument("images", nargs="+", help="image files or folders; two or more for MixMAE")
    parser.add_argument("--out", default="reconstructions.png", help="image file to write")
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
    args = parser.parse_args()
    if args.max_images < 1:
        parser.error(f"--max-images {args.max_images} must be at least 1")
    if Path(args.out).suffix.lower() not in PICTURES:
        parser.error(f"--out '{args.out}' must end in one of {' '.join(PICTURES)}")
    return args


def images_of(paths: list[str]) -> list[Path]:
    """Return the given files and the images in the given folders, in order.

    Raises:
        FileNotFoundError: a path does not exist, or a folder contains no images.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        files = list(map(Path, find_images(path))) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            raise FileNotFoundError(f"there is no image '{printable(path)}'")
        found += files
    return found


if __name__ == "__main__":
    main()

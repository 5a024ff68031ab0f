"""Picture of what a pre-trained model reconstructs of images.

MixMAE: both originals, the mixture, both reconstructions. MR-MAE: original, visible patches,
reconstruction, similarity of student and teacher, and the focus teacher's attention. All in natural
colours: the normalisation of pixels and patches is undone.
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction
from PIL import Image

from mim_plugins.apis import get_model, reconstruct
from mim_plugins.datasets.unlabeled_image_folder import IMAGE_SUFFIXES
from mim_plugins.visualization import draw_grid
from mim_plugins.visualization.panels import panel_caption


def main() -> None:
    args = parse_args()
    out = Path(args.out)
    try:
        images = find_images(args.images)[: args.max_images]
        model = get_model(
            args.config, args.checkpoint, args.device, not args.no_teachers, args.cfg_options
        )
        panels = reconstruct(model, images, args.seed)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"error: {error}")
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_grid(panels, panel_caption(panels))).save(out)
    print(f"{len(images)} images, {len(panels)} panels each: {out}")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="pre-training config, a file or a name of list_models()")
    parser.add_argument("checkpoint", help="its checkpoint, with the decoder")
    parser.add_argument("images", nargs="+", help="image files or folders; two or more for MixMAE")
    parser.add_argument("--out", default="reconstructions.png", help="the picture to write")
    parser.add_argument("--seed", type=int, default=0, help="of masks and mixtures")
    parser.add_argument("--max-images", type=int, default=12, help="take the first of them")
    parser.add_argument("--device", default="cpu", help="such as cuda")
    parser.add_argument(
        "--no-teachers",
        action="store_true",
        help="leave out MR-MAE's teachers, whose weights are not at hand: masks are then uniform",
    )
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    return parser.parse_args()


def find_images(paths: list[str]) -> list[Path]:
    """The files, and the images in the folders and below, in order.

    Raises:
        FileNotFoundError: a path that does not exist, or a folder without images.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        files = (
            sorted(f for f in path.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES)
            if path.is_dir()
            else [path]
        )
        if not files or not files[0].is_file():
            raise FileNotFoundError(f"there is no image '{path}'")
        found += files
    return found


if __name__ == "__main__":
    main()

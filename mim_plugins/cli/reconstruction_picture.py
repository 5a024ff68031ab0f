"""Picture of the reconstructions of a pre-trained model."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from ..apis import get_model, reconstruct
from ..apis.inputs import central_pipeline
from ..archives import contains_file, image_exists
from ..checkpoints import write_atomically
from ..datasets.image_files import IMAGE_SUFFIXES, suffixes_read
from ..datasets.image_places import images_at
from ..errors import BUILD_ERRORS, ConfigError
from ..file_names import printable
from ..sampling import evenly_spaced
from ..visualization import draw_grid
from ..visualization.panels import panel_caption
from ..wording import counted
from .reported_errors import user_errors


def draw_reconstructions(args: argparse.Namespace) -> None:
    """Draw as ``mim-plugins reconstruct`` does; errors of users end the program."""
    out = Path(args.out)
    with user_errors(also=BUILD_ERRORS):
        model = get_model(
            args.config, args.checkpoint, args.device, not args.no_teachers, args.cfg_options
        )
        found = images_of(args.images, suffixes_read(central_pipeline(model).loader.bands))
        if contains_file(found, out):
            raise ConfigError(
                f"--out: '{printable(out)}' is read by this command: give another file"
            )
        images = [found[index] for index in evenly_spaced(len(found), args.max_images)]
        panels = reconstruct(model, images, args.seed)
        picture = Image.fromarray(draw_grid(panels, panel_caption(panels)))
        kind = Image.registered_extensions()[out.suffix.lower()]
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, lambda path: picture.save(path, kind))
    print(f"{counted(len(images), 'image')}, {len(panels)} panels each: {out}")


def images_of(paths: list[str], suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[str]:
    """Return the given files and the images of the given folders, lists and archives, in order.

    Raises:
        FileNotFoundError: a path does not exist, or a folder contains no images.
    """
    found: list[str] = []
    for path in paths:
        files = images_at(path, suffixes)
        if not files or not image_exists(files[0]):
            raise FileNotFoundError(f"there is no image '{printable(path)}'")
        found += files
    return found

"""Pre-train an encoder on your own images, with automatic settings.

All settings that are not given depend on the images and on the machine, and are printed. The
config of the run is written next to OUT; tools/train.py runs it as well.
"""

import argparse

from ..run_arguments import AUTOMATIC, add_own_run_arguments, add_training_size
from ..sizes import parse_bands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", nargs="+", help="folder, list or archive, or several; DATA:WEIGHT")
    parser.add_argument("--method", default="mixmae", help="mixmae (default), mrmae or mae")
    parser.add_argument(
        "--arch", help=f"encoder, such as swin-t, pvt-s, vit-b or mcmae-b {AUTOMATIC}"
    )
    add_training_size(parser, AUTOMATIC)
    parser.add_argument(
        "--channels",
        type=int,
        metavar="N",
        help="number of bands, for images that are not 8-bit RGB: 16-bit, float, multispectral;"
        " TIFF, NumPy and DICOM files are read, and mean and standard deviation are measured",
    )
    parser.add_argument(
        "--shown-bands",
        type=parse_bands,
        metavar="R,G,B",
        help="bands that pictures show, counted from 0 (default: the first ones)",
    )
    parser.add_argument(
        "--teacher",
        help="clip, dino, dinov2 or a pretrained model of timm (default: clip for mrmae, otherwise"
        " none)",
    )
    parser.add_argument(
        "--val",
        metavar="LABELED",
        help="folder with train/CLASS/IMAGE and val/CLASS/IMAGE, to log the accuracy of k-NN and a"
        " linear probe, and RankMe, during training",
    )
    parser.add_argument(
        "--split",
        default="train",
        metavar="NAME",
        help="folder or archive in DATA that is read alone, if there are splits (default: train);"
        " '' reads all",
    )
    add_own_run_arguments(parser, "work_dirs/METHOD_ARCH_DATA")
    parser.add_argument(
        "--config-only", action="store_true", help="write the config without training"
    )


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    from ...engine.guards import guarded_console
    from ..pretraining import pretrain
    from ..reported_errors import user_errors

    with guarded_console(), user_errors(args.traceback):
        pretrain(
            args.data,
            args.method,
            args.arch,
            args.img_size,
            args.epochs,
            args.batch_size,
            args.teacher,
            args.out,
            args.overwrite,
            args.config_only,
            args.channels,
            args.shown_bands,
            args.val,
            args.split,
        )

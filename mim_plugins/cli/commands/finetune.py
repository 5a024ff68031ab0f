"""Fine-tune a pre-trained encoder on labeled images, with automatic settings.

DATA contains train/CLASS/IMAGE and val/CLASS/IMAGE. The size of the encoder is read from the config
of its pre-training. The config of the run is written beside OUT; tools/train.py runs it as well.
"""

import argparse

_AUTOMATIC = "(default: automatic)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", help="folder with train/CLASS/IMAGE and val/CLASS/IMAGE")
    parser.add_argument(
        "--checkpoint",
        required=True,
        help="checkpoint or encoder.safetensors in the work folder of a pre-training",
    )
    parser.add_argument(
        "--config", help="config of the pre-training (default: that of CHECKPOINT's folder)"
    )
    parser.add_argument("--epochs", type=int, help=f"passes over the images {_AUTOMATIC}")
    parser.add_argument("--batch-size", type=int, help=f"images per iteration {_AUTOMATIC}")
    parser.add_argument("--out", help="work folder (default: work_dirs/finetune_DATA)")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier run in OUT")
    parser.add_argument(
        "--traceback", action="store_true", help="show the full traceback of an error"
    )


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    from ...engine.guards import guarded_console
    from ..finetuning import finetune
    from ..reported_errors import user_errors

    with guarded_console(), user_errors(args.traceback):
        finetune(
            args.data,
            args.checkpoint,
            args.config,
            args.epochs,
            args.batch_size,
            args.out,
            args.overwrite,
        )

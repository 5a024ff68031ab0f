"""Fine-tune a pre-trained encoder on labeled images, with automatic settings.

DATA contains train/CLASS/IMAGE and val/CLASS/IMAGE. The size of the encoder is read from
CHECKPOINT, or else from the config of its pre-training. The config of the run is written next to
OUT; tools/train.py runs it as well.
"""

import argparse

from ..run_arguments import add_own_run_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("data", help="folder or archive with both")
    parser.add_argument(
        "--checkpoint",
        required=True,
        help="checkpoint or encoder.safetensors in the work folder of a pre-training",
    )
    parser.add_argument(
        "--config",
        help="config of the pre-training (default: that in CHECKPOINT, or else in its folder)",
    )
    add_own_run_arguments(parser, "work_dirs/finetune_DATA")


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

"""Export a classifier, or the pooled features of an encoder, as an ONNX file.

The input is images (B, C, H, W) as float32 numbers without normalization: RGB from 0 to 255, or
the values of bands. The output is the logits (B, classes) of a fine-tuned classifier. For a
pre-training config, and with --features, it is the mean (B, D) over the last tokens of the encoder.
onnxruntime compares the graph with PyTorch before the file is written to OUT.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mim_plugins.cli import add_config_options
from mim_plugins.cli.command_words import command_words
from mim_plugins.cli.ctrl_c import one_line_on_ctrl_c
from mim_plugins.cli.output_place import require_output
from mim_plugins.cli.sizes import add_size_option
from mim_plugins.errors import BUILD_ERRORS
from mim_plugins.wording import counted


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Return ``size`` as (H, W)."""
    sides = (size,) if isinstance(size, int) else tuple(size)
    return sides[0], sides[-1]


def is_classifier(model: Any) -> bool:
    from mmpretrain.models import BaseClassifier

    return isinstance(model, BaseClassifier)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or a name such as mixmae/swin_b_finetune_100e")
    parser.add_argument("checkpoint", help="checkpoint of a run with this config")
    parser.add_argument("out", type=Path, help="file to write, OUT.onnx")
    parser.add_argument(
        "--features", action="store_true", help="export features even of a classifier"
    )
    add_size_option(parser, "default: the backbone's")
    parser.add_argument(
        "--opset", type=int, help="ONNX operator set (default: that of the export command)"
    )
    parser.add_argument("--dynamic-batch", action="store_true", help="accept any number of images")
    parser.add_argument(
        "--batch-size", type=int, default=1, help="images per batch without --dynamic-batch (1)"
    )
    parser.add_argument(
        "--check",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare the graph with PyTorch by onnxruntime",
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    add_config_options(parser)
    args = parser.parse_args(command_words())
    if args.out.suffix != ".onnx":
        parser.error(f"OUT '{args.out}' must end in .onnx")
    if args.batch_size < 1:
        parser.error(f"--batch-size {args.batch_size} must be at least 1")
    require_output("OUT", args.out, args.force, [args.config, args.checkpoint])
    return args


@one_line_on_ctrl_c()
def main() -> None:
    args = parse_args()
    from mmengine.logging import MMLogger  # not before, because --help does not need it

    from mim_plugins import get_model
    from mim_plugins.apis.from_pixels import FromPixels
    from mim_plugins.apis.inputs import run_config
    from mim_plugins.apis.onnx_file import OPSET, export_onnx, require_packages
    from mim_plugins.cli import user_errors
    from mim_plugins.datasets.wrappers import loading_bands

    with user_errors():
        require_packages(args.check)
    MMLogger.get_instance("export_onnx", log_level="WARNING")
    with user_errors(also=BUILD_ERRORS):
        model = get_model(args.config, args.checkpoint, cfg_options=args.cfg_options)
        module = FromPixels(model, args.features or not is_classifier(model)).eval()
        size = _pair(args.img_size or getattr(model.backbone, "img_size", 224))
    opset = args.opset or OPSET
    batch_size = None if args.dynamic_batch else args.batch_size
    with user_errors():
        difference = export_onnx(module, args.out, size, batch_size, opset, args.check)
    if difference is not None:
        print(f"onnxruntime and PyTorch differ by {difference:.1e} of the largest output")
    images = "any number of images" if args.dynamic_batch else counted(args.batch_size, "image")
    colors = "RGB" if module.channels == 3 else f"{module.channels} channels"
    data = (run_config(model).get("train_dataloader") or {}).get("dataset")
    values = "from 0 to 255" if loading_bands(data) is None else "with the values of the files"
    print(f"{args.out}: {images} of {size[0]}x{size[1]}, {colors} {values}, opset {opset}")


if __name__ == "__main__":
    main()

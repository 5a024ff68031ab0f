"""Write the encoder of a checkpoint to a file that describes itself.

CHECKPOINT comes from pre-training or fine-tuning with this package, or is an exported file, or a
public checkpoint of MixMIM, ConvMAE or MAE (the authors' or mmpretrain's). The formats safetensors,
torch and timm load with ``init_cfg=dict(type='Pretrained', checkpoint=OUT)``, and with
``mim_plugins.load(OUT)`` if CHECKPOINT contains the config of its run, or with --config.
"""

import argparse

from ..output_place import require_output
from ..sizes import add_size_option

_FORMATS = """safetensors (default) and torch use this package's names; timm uses timm's names, for
MaskedViT and MaskedSwin, and writes .safetensors or .pth by the suffix of OUT; huggingface writes a
folder for the Hugging Face hub and timm; onnx and pt2 (a program of torch.export) run without this
package"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("checkpoint", help="checkpoint to read: .pth or .safetensors")
    parser.add_argument(
        "out", help="file to write; format safetensors requires the suffix .safetensors"
    )
    parser.add_argument("--format", default="safetensors", help=_FORMATS)
    parser.add_argument(
        "--prefix", default="backbone.", help="prefix of the encoder's names (default: backbone.)"
    )
    parser.add_argument(
        "--config", help="config of the model, or its name, if CHECKPOINT contains none"
    )
    add_size_option(parser, "formats onnx and pt2; default: as in the preprocessing")
    parser.add_argument("--force", action="store_true", help="overwrite OUT")


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    from ..encoder_file import FORMATS, write_encoder

    if args.format not in FORMATS:
        parser.error(f"--format {args.format} is not one of {', '.join(FORMATS)}")
    if args.img_size and args.format not in ("onnx", "pt2"):
        parser.error("--img-size is an option of --format onnx and pt2")
    is_folder = args.format == "huggingface"
    require_output("OUT", args.out, args.force, [args.checkpoint, args.config], is_folder)
    write_encoder(args)

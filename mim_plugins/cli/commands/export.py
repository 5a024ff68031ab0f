"""Write the encoder of a checkpoint to a separate file.

CHECKPOINT comes from pre-training or fine-tuning with this package, or is a public checkpoint of
MixMIM, ConvMAE or MAE (the authors' or mmpretrain's). OUT loads with
``init_cfg=dict(type='Pretrained', checkpoint=OUT)`` in every format.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("checkpoint", help="checkpoint to read: .pth or .safetensors")
    parser.add_argument(
        "out", help="file to write; format safetensors requires the suffix .safetensors"
    )
    parser.add_argument(
        "--format",
        default="safetensors",
        help="safetensors (default) and torch use this package's names; timm uses timm's names, for"
        " MaskedViT and MaskedSwin, and writes .safetensors or .pth by the suffix of OUT",
    )
    parser.add_argument(
        "--prefix", default="backbone.", help="prefix of the encoder's names (default: backbone.)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT")


def run(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Execute the command."""
    from ...checkpoints import FORMATS, export_backbone
    from ..reported_errors import user_errors

    if args.format not in FORMATS:
        parser.error(f"--format {args.format} is not one of {', '.join(FORMATS)}")
    with user_errors(also=(OSError, ValueError)):
        done = export_backbone(args.checkpoint, args.out, args.format, args.prefix, args.force)
    count = len(done.tensors)
    print(f"{done.backbone or 'encoder'} ({done.origin}): {count} tensors -> {args.out}")
    if done.foreign:
        print(
            f"note: timm's SwinTransformer has no {', '.join(done.foreign)}: take that out before"
            " a strict load. Without the position embedding, which MaskedSwin adds"
            " after patch_embed, the features differ; timm also shifts every second window, as"
            " MaskedSwin does with shift_windows=True only."
        )

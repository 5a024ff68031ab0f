"""Write the encoder of a checkpoint to a separate file.

CHECKPOINT comes from pre-training or fine-tuning with this package, or is a public checkpoint of
MixMIM, ConvMAE or MAE (the authors' or mmpretrain's). OUT loads with
``init_cfg=dict(type='Pretrained', checkpoint=OUT)`` in every format.
"""

import argparse

from mim_plugins.checkpoints import FORMATS, export_backbone
from mim_plugins.cli import user_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="checkpoint to read: .pth or .safetensors")
    parser.add_argument(
        "out", help="file to write; format safetensors requires the suffix .safetensors"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="safetensors",
        help="safetensors (default) and torch use this package's names; timm uses timm's names, for"
        " MaskedViT and MaskedSwin, and writes .safetensors or .pth by the suffix of OUT",
    )
    parser.add_argument(
        "--prefix", default="backbone.", help="prefix of the encoder's names (default: backbone.)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    args = parser.parse_args()
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


if __name__ == "__main__":
    main()

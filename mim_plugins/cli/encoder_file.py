"""Files of an encoder in several formats."""

import argparse
from pathlib import Path

from mmengine.config import Config

from ..apis import Encoder, load, read_config
from ..apis.export import export_encoder
from ..apis.from_pixels import FromPixels
from ..apis.hub_files import CARD, crop_in_timm
from ..apis.onnx_file import export_onnx
from ..apis.program import export_program
from ..checkpoints import FORMATS as FILE_FORMATS
from ..checkpoints import Exported
from ..checkpoints.writing import write_atomically
from ..errors import CheckpointError
from .reported_errors import user_errors

FORMATS = (*FILE_FORMATS, "huggingface", "onnx", "pt2")


def write_encoder(args: argparse.Namespace) -> None:
    """Export as ``mim-plugins export`` does; errors of users end the program."""
    with user_errors(also=(OSError, ValueError)):
        config = read_config(args.config) if args.config else None
        if args.format == "huggingface":
            _write_folder(args, config)
        elif args.format in ("onnx", "pt2"):
            _write_program(args, config)
        else:
            _write_tensors(args, config)


def _write_tensors(args: argparse.Namespace, config: Config | None) -> None:
    done = export_encoder(args.checkpoint, args.out, args.format, args.prefix, args.force, config)
    count = len(done.tensors)
    print(f"{done.backbone or 'encoder'} ({done.origin}): {count} tensors -> {args.out}")
    if not done.is_described:
        print(f"note: the file does not describe its preprocessing{_remedy(args, done)}")
    for difference in done.differences:
        print(f"note: {difference}")
    if done.foreign:
        print(
            f"note: timm's SwinTransformer has no {', '.join(done.foreign)}: take that out before"
            " a strict load. Without the position embedding, which MaskedSwin adds"
            " after patch_embed, the features differ; timm also shifts every second window, as"
            " MaskedSwin does with shift_windows=True only. --format huggingface writes a model"
            " for timm with the same features."
        )


def _remedy(args: argparse.Namespace, done: Exported) -> str:
    """Return what gives an exported file a description, or ``""``."""
    if args.format == "timm" and not args.out.endswith(".safetensors"):
        return ", which timm's PyTorch files cannot: OUT.safetensors does"
    return ": add --config CONFIG" if done.backbone else ""


def _write_folder(args: argparse.Namespace, config: Config | None) -> None:
    folder = Path(args.out)
    encoder = load(args.checkpoint, config=config, prefix=args.prefix)
    encoder.save_pretrained(folder)
    # save_pretrained keeps an existing card, which may be that of another encoder
    write_atomically(folder / CARD, encoder.generate_model_card().save)
    print(f"{folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")
    difference = crop_in_timm(encoder.description)
    if difference:
        print(f"note: {difference}")


def _write_program(args: argparse.Namespace, config: Config | None) -> None:
    encoder = load(args.checkpoint, config=config, prefix=args.prefix)
    size = args.img_size or encoder.preprocessing.size
    if args.format == "pt2":
        difference: float | None = export_program(encoder, args.out, size, args.force)
    else:
        difference = _write_onnx(encoder, Path(args.out), size)
    print(f"file and encoder differ by {difference:.1e} of the largest feature")
    given = encoder.preprocessing
    colors = "RGB" if given.channels == 3 else f"{given.channels} channels"
    print(f"{args.out}: any number of images of {size[0]}x{size[1]}, {colors} {given.units}")


def _write_onnx(encoder: Encoder, out: Path, size: tuple[int, int]) -> float | None:
    if out.suffix != ".onnx":
        raise CheckpointError(f"'{out}': a file of format onnx must end in .onnx")
    return export_onnx(FromPixels(encoder, features=True).eval(), out, size)
